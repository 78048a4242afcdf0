"""One home, its processes: started together, started again when they die, stopped together.

Promises: two supervisors never share a home; no child outlives its supervisor; what runs where stands in
`up.json`, and whether that still holds is decided by a lock, not by a process id.
"""

from forebay.app.supervisor.home import Home, Part, Running
from forebay.app.supervisor.parent import die_with_parent
from forebay.app.supervisor.ports import bound_socket, claimed_port
from forebay.app.supervisor.supervisor import Plan, Supervisor
from forebay.app.supervisor.visits import Status, start_detached, status, stop

__all__ = [
    "Home",
    "Part",
    "Plan",
    "Running",
    "Status",
    "Supervisor",
    "bound_socket",
    "claimed_port",
    "die_with_parent",
    "start_detached",
    "status",
    "stop",
]
