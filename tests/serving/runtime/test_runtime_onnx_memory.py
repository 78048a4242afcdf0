"""What a model takes of the machine's memory, it gives back."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from forebay.core import ArtifactInfo, DataType, Signature, TensorSpec
from forebay.serving.runtime import Backend, Budget, open_backend
from support.tiny_models import mlp, resident_bytes, write_artifact

WIDE = Signature((TensorSpec("x", DataType.FP32, (-1, 64)),), (TensorSpec("y", DataType.FP32, (-1, 8)),))


def opened(folder: Path) -> Backend:
    return open_backend(folder, ArtifactInfo(WIDE), Budget())


def ask(backend: Backend, rows: int) -> None:
    backend.run({"x": np.ones((rows, 64), np.float32)}, ["y"])


@pytest.mark.slow
def test_one_very_large_batch_does_not_stay_in_memory(tmp_path: Path) -> None:
    backend = opened(write_artifact(tmp_path / "mlp", mlp(64, 1024, 8), WIDE))
    for _ in range(20):
        ask(backend, 4)
    gc.collect()
    before = resident_bytes()
    ask(backend, 20_000)
    assert resident_bytes() - before < 40 << 20
    for _ in range(20):
        ask(backend, 4)
    assert resident_bytes() - before < 40 << 20
    backend.close()


@pytest.mark.slow
def test_unloading_gives_the_memory_back_every_time(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "mlp", mlp(64, 3000, 8), WIDE)
    ask(backend := opened(folder), 64)
    backend.close()
    gc.collect()
    before = resident_bytes()
    for _ in range(5):
        ask(backend := opened(folder), 64)
        assert resident_bytes() - before > 25 << 20
        backend.close()
        backend.close()
        gc.collect()
        assert resident_bytes() - before < 8 << 20
