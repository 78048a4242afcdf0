"""Which bytes a name means: models, versions and aliases.

A version is immutable and numbered 1, 2, 3 … without gaps, however many publish at once, and a job never
registers two. An alias names a version that is active. What somebody works with is not retired. Where a
model keeps a promise, no version without proof passes to a protected alias or a deployment, unless somebody
overrides that and says why.
"""

from forebay.control.registry.gate import CLAIMED, KIND
from forebay.control.registry.keeping import Keeps
from forebay.control.registry.lookup import InUse, find_active_version, hold_model
from forebay.control.registry.passing import Gate, Override, pass_gate
from forebay.control.registry.proof import Promised
from forebay.control.registry.records import AliasRecord, KeepRecord, ModelRecord, VersionRecord
from forebay.control.registry.registry import Registry

__all__ = [
    "CLAIMED",
    "KIND",
    "AliasRecord",
    "Gate",
    "InUse",
    "KeepRecord",
    "Keeps",
    "ModelRecord",
    "Override",
    "Promised",
    "Registry",
    "VersionRecord",
    "find_active_version",
    "hold_model",
    "pass_gate",
]
