"""What a model name answers with, and the nodes that answer.

The room promises that a deployment names only versions that are there and active, that of two who deploy
at once nobody overwrites the other unknowingly, and that nodes hear of a change within a blink.
"""

from forebay.control.deploy.deployments import Deployments
from forebay.control.deploy.nodes import NodeRecord, Nodes
from forebay.control.deploy.readiness import NodeState, is_ready, node_states
from forebay.control.deploy.records import DeployedVersion, DeploymentRecord, Wish
from forebay.control.deploy.watch import Published, Watch

__all__ = [
    "DeployedVersion",
    "DeploymentRecord",
    "Deployments",
    "NodeRecord",
    "NodeState",
    "Nodes",
    "Published",
    "Watch",
    "Wish",
    "is_ready",
    "node_states",
]
