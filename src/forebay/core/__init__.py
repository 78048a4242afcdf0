"""The words that every room uses. Pure: standard library, NumPy and msgspec."""

from forebay.core.artifact import CODE_FOLDER, INFO_NAME, REPORT_NAME, ArtifactInfo, FileEntry, Manifest
from forebay.core.bounds import PROTOCOLS, Bounds
from forebay.core.errors import ForebayError
from forebay.core.frames import Frame, Shipment
from forebay.core.limits import LIMIT_UNITS, PERIODS_S, CallLimit, Lease, LeaseAnswer, LeaseAsk, PermitsAsked
from forebay.core.machine import MachineKind
from forebay.core.names import ModelRef, checked_name
from forebay.core.principal import Key, Permission, Principal, digest_of_secret, key_id_of, new_key
from forebay.core.snapshot import (
    Deployment,
    KeyGrant,
    Limits,
    LoadState,
    NodeReport,
    Snapshot,
    Target,
)
from forebay.core.tensors import Array, DataType, Signature, Tensors, TensorSpec
from forebay.core.usage import UsageEvent

__all__ = [
    "CODE_FOLDER",
    "INFO_NAME",
    "LIMIT_UNITS",
    "PERIODS_S",
    "PROTOCOLS",
    "REPORT_NAME",
    "Array",
    "ArtifactInfo",
    "Bounds",
    "CallLimit",
    "DataType",
    "Deployment",
    "FileEntry",
    "ForebayError",
    "Frame",
    "Key",
    "KeyGrant",
    "Lease",
    "LeaseAnswer",
    "LeaseAsk",
    "Limits",
    "LoadState",
    "MachineKind",
    "Manifest",
    "ModelRef",
    "NodeReport",
    "Permission",
    "PermitsAsked",
    "Principal",
    "Shipment",
    "Signature",
    "Snapshot",
    "Target",
    "TensorSpec",
    "Tensors",
    "UsageEvent",
    "checked_name",
    "digest_of_secret",
    "key_id_of",
    "new_key",
]
