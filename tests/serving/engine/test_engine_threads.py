"""A version gets as many threads as make its batches faster, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from forebay.core import INFO_NAME, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.engine import load
from forebay.serving.engine.threads import best_threads
from forebay.serving.runtime import Backend, Budget
from support.plugin import install_counting
from support.tiny_models import TWICE, mlp, write_artifact

WIDE = Signature((TensorSpec("x", DataType.FP32, (-1, 64)),), (TensorSpec("y", DataType.FP32, (-1, 8)),))


class Pretender(Backend):
    """Takes as long as it is told."""

    def __init__(self, threads: int, seconds: float) -> None:
        self.threads = threads
        self.seconds = seconds
        self.open = True

    @property
    def signature(self) -> Signature:
        return TWICE

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        raise AssertionError(inputs, outputs)

    def close(self) -> None:
        self.open = False


@pytest.mark.parametrize(
    ("alone_s", "together_s", "size_bytes", "most", "threads"),
    [
        pytest.param(0.0001, 0.00001, 1 << 20, 4, 1, id="quick: one thread is enough"),
        pytest.param(0.01, 0.004, 1 << 20, 4, 4, id="slow, and faster with all"),
        pytest.param(0.01, 0.0099, 1 << 20, 4, 1, id="slow, and no faster with all"),
        pytest.param(0.01, 0.02, 1 << 20, 4, 1, id="slow, and slower with all"),
        pytest.param(0.0, 0.0, 65 << 20, 4, 4, id="large: all, without a trial"),
        pytest.param(0.01, 0.001, 65 << 20, 1, 1, id="one core"),
    ],
)
def test_the_faster_way_is_kept_and_the_other_is_closed(
    alone_s: float, together_s: float, size_bytes: int, most: int, threads: int
) -> None:
    made: list[Pretender] = []

    def opened(count: int) -> Backend:
        assert not any(each.open for each in made), "two at once take twice the memory"
        made.append(Pretender(count, alone_s if count == 1 else together_s))
        return made[-1]

    kept = best_threads(size_bytes, most, opened, lambda each: each.seconds)  # type: ignore[attr-defined]  # a Pretender's
    assert isinstance(kept, Pretender)
    assert kept.threads == threads
    assert [each for each in made if each.open] == [kept]


def test_one_that_fails_its_trial_is_closed() -> None:
    made: list[Pretender] = []

    def opened(count: int) -> Backend:
        made.append(Pretender(count, 0))
        return made[-1]

    def fails(_: Backend) -> float:
        raise Malformed("no")

    with pytest.raises(Malformed):
        best_threads(1, 2, opened, fails)
    assert not any(each.open for each in made)


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("hidden", [8, 2500], ids=["small", "larger"])
def test_a_real_model_is_tried_with_all_threads_when_one_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: int, most: int
) -> None:
    opened = install_counting(tmp_path, monkeypatch)
    folder = write_artifact(tmp_path / "mlp", mlp(64, hidden, 8), WIDE)
    (folder / INFO_NAME).write_bytes(ArtifactInfo(WIDE, backend="counting").encode())
    load(folder, Budget(threads=most)).backend.close()
    assert opened[:2] == ([1, 2] if hidden > 8 and most > 1 else [1])
