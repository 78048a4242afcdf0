"""Which machine measured: what was quick here need not be quick elsewhere."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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
    "sve",
)
_PACKAGES = ("onnxruntime", "openvino", "numpy", "onnx")
_DECIDING = ("processor", "features", "cores")


def fingerprint(root: Path = Path("/")) -> dict[str, object]:
    """Processor, the features that quantised arithmetic lives on, cores, memory, and versions."""
    said = _cpuinfo(root)
    here = machine(root)
    flags = set(said.get("flags", said.get("Features", "")).split())
    return {
        "processor": said.get("model name", platform.processor() or platform.machine()),
        "features": [name for name in _TELLING if name in flags],
        "cores": here.cores,
        "memory_bytes": here.memory_bytes,
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def same_kind(one: Mapping[str, object], other: Mapping[str, object]) -> str:
    """What makes two machines different kinds, in words; empty when figures of one hold for the other.

    >>> same_kind({"processor": "A", "cores": 2}, {"processor": "A", "cores": 4})
    'cores 2 there, 4 here'
    """
    differing = [name for name in _DECIDING if one.get(name) != other.get(name)]
    return ", ".join(f"{name} {one.get(name)} there, {other.get(name)} here" for name in differing)


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
