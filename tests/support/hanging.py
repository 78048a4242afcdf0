"""A backend that hangs for certain inputs, and a node that serves it; run as `python -m support.hanging`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from forebay.core import INFO_NAME, ArtifactInfo, Signature, Tensors
from forebay.serving.node import NodeConfig, run
from forebay.serving.runtime import Backend, Budget
from support.tiny_models import TWICE

ASLEEP = 11.0


class HangingBackend(Backend):
    """Twice the input, after a pause; sleeps for hours when the input is 11."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    @property
    def signature(self) -> Signature:
        return TWICE

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        time.sleep(self._pause_s)
        if ASLEEP in inputs["x"]:
            time.sleep(3600)
        return dict.fromkeys(outputs, 2 * inputs["x"])

    def close(self) -> None:
        """There is nothing to give back."""


def open_hanging(folder: Path, info: ArtifactInfo, _budget: Budget) -> HangingBackend:
    """The opener that the entry point names; the artifact's file says how long the pause is."""
    return HangingBackend(float((folder / info.model).read_text()))


def write_hanging(folder: Path, pause_s: float) -> Path:
    """An artifact that is served so."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_text(str(pause_s))
    (folder / INFO_NAME).write_bytes(ArtifactInfo(TWICE, backend="hanging").encode())
    return folder


def install(folder: Path) -> Path:
    """A folder for the path of a process that knows this backend."""
    about = folder / "hanging-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hanging\nVersion: 1.0\n")
    entry = "[forebay.backends]\nhanging = support.hanging:open_hanging\n"
    (about / "entry_points.txt").write_text(entry)
    return folder


if __name__ == "__main__":
    home, port, hang_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    run(
        NodeConfig(
            home,
            "http://127.0.0.1:9",
            "none",
            "test",
            port=port,
            grpc_port=0,
            drain_s=1.0,
            budget=Budget(call_s=hang_s),
        )
    )
