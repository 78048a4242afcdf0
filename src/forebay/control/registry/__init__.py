"""Which bytes a name means: models, versions and aliases.

A version is immutable and numbered 1, 2, 3 … without gaps, however many publish at once, and a job never
registers two. An alias names a version that is active. What somebody works with is not retired.
"""

from forebay.control.registry.lookup import InUse, find_active_version, hold_model
from forebay.control.registry.records import AliasRecord, ModelRecord, VersionRecord
from forebay.control.registry.registry import Registry

__all__ = [
    "AliasRecord",
    "InUse",
    "ModelRecord",
    "Registry",
    "VersionRecord",
    "find_active_version",
    "hold_model",
]
