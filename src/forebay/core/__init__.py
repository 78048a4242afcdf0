"""The words that every room uses. Pure: standard library, NumPy and msgspec."""

from forebay.core.artifact import CODE_FOLDER, INFO_NAME, REPORT_NAME, ArtifactInfo, FileEntry, Manifest
from forebay.core.bounds import PROTOCOLS, Bounds
from forebay.core.errors import ForebayError
from forebay.core.frames import Frame, Shipment
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
    "PROTOCOLS",
    "REPORT_NAME",
    "Array",
    "ArtifactInfo",
    "Bounds",
    "DataType",
    "Deployment",
    "FileEntry",
    "ForebayError",
    "Frame",
    "Key",
    "KeyGrant",
    "Limits",
    "LoadState",
    "MachineKind",
    "Manifest",
    "ModelRef",
    "NodeReport",
    "Permission",
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
