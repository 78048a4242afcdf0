"""How much memory a candidate takes: loaded in a process of its own, which may also die of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from forebay.core import INFO_NAME, ArtifactInfo
from forebay.core.errors import Malformed
from forebay.core.requests import decode_request
from forebay.serving.engine.load import zeros
from forebay.serving.runtime import Budget, open_backend

_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of a version: on disk (everything in its folder), and in memory after an answer."""

    disk_bytes: int
    memory_bytes: int


def weigh(folder: Path) -> Weight:
    """Load the artifact in *folder* elsewhere and ask it once.

    Raises `Malformed` when the process refuses, dies, or takes more than two minutes.
    """
    command = [sys.executable, "-m", "forebay.workshop.compress.measuring", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter, our own module
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise Malformed(f"it does not load and answer within {_PATIENCE_S:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"signal {-done.returncode}"])[-1]
        raise Malformed(f"it does not load: {last[:300]}")
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Weight(disk, int(json.loads(done.stdout)["memory_bytes"]))


def weigh_here(folder: Path) -> int:
    """By how much this process grows when it loads and asks the artifact in *folder*."""
    info = ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
    if info.backend == "openvino":
        import openvino  # noqa: F401, PLC0415 (the library itself is no version's)
    before = _resident_bytes()
    with closing(open_backend(folder, info, Budget())) as backend:
        if info.sample:
            rows = decode_request((folder / info.sample).read_bytes(), info.signature)
        else:
            rows = {spec.name: zeros(spec) for spec in info.signature.inputs}
        backend.run(rows, [spec.name for spec in info.signature.outputs])
        return max(0, _resident_bytes() - before)


def _resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
