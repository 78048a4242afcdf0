"""Which machine this is: what was measured elsewhere need not hold here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from forebay.core import MachineKind
from forebay.serving.runtime.machine import machine

_TELLING = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)
_PACKAGES = ("onnxruntime", "openvino", "numpy", "onnx")


def machine_kind(root: Path = Path("/")) -> MachineKind:
    """The kind of this machine, as `/proc` below *root* and the installed packages tell it."""
    said = _cpuinfo(root)
    flags = set(said.get("flags", said.get("Features", "")).split())
    packages = {name: found for name in _PACKAGES if (found := _version(name))}
    return MachineKind(
        platform.machine(),
        tuple(name for name in _TELLING if name in flags),
        packages | {"python": platform.python_version()},
    )


def fingerprint(root: Path = Path("/")) -> dict[str, object]:
    """The kind of this machine, and what its speed depends on besides: processor, cores, memory."""
    here = machine(root)
    kind: dict[str, object] = msgspec.to_builtins(machine_kind(root))
    return kind | {
        "processor": _cpuinfo(root).get("model name", platform.processor() or platform.machine()),
        "cores": here.cores,
        "memory_bytes": here.memory_bytes,
        "system": platform.system(),
    }


def _cpuinfo(root: Path) -> dict[str, str]:
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    first: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            first.setdefault(name.strip(), value.strip())
    return first


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
