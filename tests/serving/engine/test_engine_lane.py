from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forebay.core import DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Broken, Died, Full, Late, Malformed, NotReady
from forebay.serving.engine import BatchLimits, Lane, Outcome, load
from forebay.serving.engine.load import zeros
from forebay.serving.runtime import Backend
from support.tiny_models import TWICE, echo_text, gatherer, scaler, write_artifact

GATHER = Signature((TensorSpec("x", DataType.INT64, (-1,)),), (TensorSpec("y", DataType.FP32, (-1,)),))
ONE = np.ones((1, 3), dtype=np.float32)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


@asynccontextmanager
async def lane_for(
    folder: Path, limits: BatchLimits | None = None, *, cost_s: float | None = None, pause_s: float = 0.0
) -> AsyncIterator[Lane]:
    loaded = load(folder)
    with ThreadPoolExecutor(2) as executor:
        lane = Lane(
            Slow(loaded.backend, pause_s) if pause_s else loaded.backend,
            loaded.signature,
            limits or BatchLimits(),
            executor,
            cost_s=loaded.cost_s if cost_s is None else cost_s,
        )
        yield lane
        await lane.close(1.0)


class Slow(Backend):
    """A backend that takes its time on purpose; what it computes is real."""

    def __init__(self, backend: Backend, pause_s: float) -> None:
        self._backend = backend
        self._pause_s = pause_s
        self.batches: list[int] = []

    @property
    def signature(self) -> Signature:
        return self._backend.signature

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        time.sleep(self._pause_s)
        self.batches.append(len(inputs["x"]))
        return self._backend.run(inputs, outputs)

    def close(self) -> None:
        self._backend.close()


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    return write_artifact(tmp_path / "twice", scaler())


@pytest.mark.parametrize("cost_s", [0.0, 1.0], ids=["on the loop", "on a thread"])
def test_a_hundred_callers_share_batches_and_each_gets_its_own_rows(twice: Path, cost_s: float) -> None:
    async def work() -> None:
        # Each batch costs so much that a neighbour on the core cannot make few rows look cheaper than many.
        async with lane_for(twice, BatchLimits(batch_rows=32), cost_s=cost_s, pause_s=0.02) as lane:
            rows = [np.full((1 + i % 3, 3), i, dtype=np.float32) for i in range(100)]
            outcomes = await asyncio.gather(*(lane.ask({"x": row}) for row in rows))
            for row, outcome in zip(rows, outcomes, strict=True):
                np.testing.assert_array_equal(outcome.outputs["y"], 2 * row)
                assert outcome.rows == len(row)
            assert lane.stats.batches < 20
            assert lane.stats.answered == 100

    run(work)


def test_one_leaves_and_the_others_are_served(twice: Path) -> None:
    async def work() -> None:
        loaded = load(twice)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(Slow(loaded.backend, 0.05), loaded.signature, BatchLimits(), executor)
            asked = [asyncio.create_task(lane.ask({"x": ONE * i})) for i in range(4)]
            await asyncio.sleep(0.01)
            asked[2].cancel()
            stayed = await asyncio.gather(asked[0], asked[1], asked[3])
            assert [float(outcome.outputs["y"][0, 0]) for outcome in stayed] == [0.0, 2.0, 6.0]
            assert lane.stats.left == 1
            await lane.close(1.0)

    run(work)


def test_one_with_a_bad_value_spoils_nobody_elses_answer(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "gather", gatherer(), GATHER)

    async def work() -> None:
        async with lane_for(folder) as lane:
            asked = [lane.ask({"x": np.array([i])}) for i in (1, 99, 3)]
            first, bad, last = await asyncio.gather(*asked)
            assert isinstance(bad.error, Malformed)
            assert "refused its input" in str(bad.error)
            assert (first.outputs["y"].tolist(), last.outputs["y"].tolist()) == ([1.0], [3.0])

    run(work)


def test_a_request_whose_deadline_has_passed_is_dropped_before_any_work(twice: Path) -> None:
    async def work() -> None:
        async with lane_for(twice) as lane:
            late = await lane.ask({"x": ONE}, deadline_s=time.monotonic() - 1)
            assert isinstance(late.error, Late)
            assert lane.stats.batches == 0
            assert lane.stats.expired == 1

    run(work)


def test_a_batch_fills_while_another_one_runs(twice: Path) -> None:
    async def work() -> None:
        loaded = load(twice)
        slow = Slow(loaded.backend, 0.05)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(slow, loaded.signature, BatchLimits(batch_rows=64), executor)
            asked = [asyncio.create_task(lane.ask({"x": ONE}))]
            await asyncio.sleep(0.02)
            for _ in range(3):  # how large batches may become is found out step by step
                asked += [asyncio.create_task(lane.ask({"x": ONE})) for _ in range(40)]
                await asyncio.gather(*asked)
            await lane.close(1.0)
        assert slow.batches[:2] == [1, 2]
        assert max(slow.batches) >= 16

    run(work)


def test_a_crowd_that_comes_back_together_goes_together_and_a_caller_alone_adds_no_wait(twice: Path) -> None:
    async def caller(lane: Lane, times: int) -> None:
        for _ in range(times):
            assert (await lane.ask({"x": ONE})).error is None

    async def work() -> None:
        loaded = load(twice)
        slow = Slow(loaded.backend, 0.02)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(slow, loaded.signature, BatchLimits(batch_rows=8, wait_s=0.01), executor)
            await asyncio.gather(*(caller(lane, 25) for _ in range(4)))
            assert slow.batches[-8:].count(4) >= 6
            await caller(lane, 20)
            last = await lane.ask({"x": ONE})
            assert last.queue_ns < 10e6
            await lane.close(1.0)

    run(work)


def test_a_request_that_the_queue_alone_makes_late_is_refused_before_any_work(twice: Path) -> None:
    async def work() -> None:
        loaded = load(twice)
        slow = Slow(loaded.backend, 0.05)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(slow, loaded.signature, BatchLimits(batch_rows=1), executor, cost_s=0.05)
            guess = [asyncio.create_task(lane.ask({"x": ONE})) for _ in range(4)]
            await asyncio.sleep(0.01)
            patient = asyncio.create_task(lane.ask({"x": ONE}, time.monotonic() + 0.1))
            await asyncio.gather(*guess, patient)  # nothing was measured yet: nobody is refused on a guess
            asked = [asyncio.create_task(lane.ask({"x": ONE})) for _ in range(20)]
            await asyncio.sleep(0.01)
            with pytest.raises(Full, match=r"the queue takes .* and the request has .* left") as told:
                await lane.ask({"x": ONE}, deadline_s=time.monotonic() + 0.2)
            assert told.value.retry_after_s is not None
            assert told.value.retry_after_s > 0.2
            assert (await lane.ask({"x": ONE}, deadline_s=time.monotonic() + 60)).error is None
            await asyncio.gather(*asked)
            await lane.close(1.0)

    run(work)


def test_a_full_queue_refuses_at_once(twice: Path) -> None:
    async def work() -> None:
        async with lane_for(twice, BatchLimits(batch_rows=2, queue_rows=4), cost_s=1.0) as lane:
            asked = [asyncio.create_task(lane.ask({"x": ONE})) for _ in range(4)]
            await asyncio.sleep(0)
            with pytest.raises(Full):
                lane.submit({"x": ONE}, lambda _: None)
            assert all(outcome.error is None for outcome in await asyncio.gather(*asked))

    run(work)


def test_a_lane_that_leaves_answers_those_who_wait_and_refuses_new_callers(twice: Path) -> None:
    async def work() -> None:
        loaded = load(twice)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(Slow(loaded.backend, 0.05), loaded.signature, BatchLimits(), executor)
            asked = asyncio.create_task(lane.ask({"x": ONE}))
            await asyncio.sleep(0.01)
            leaving = asyncio.create_task(lane.close(1.0))
            await asyncio.sleep(0)
            with pytest.raises(NotReady):
                lane.submit({"x": ONE}, lambda _: None)
            assert (await asked).error is None
            await leaving

    run(work)


def test_those_who_wait_too_long_for_a_leaving_lane_are_told(twice: Path) -> None:
    async def work() -> None:
        loaded = load(twice)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(Slow(loaded.backend, 0.1), loaded.signature, BatchLimits(batch_rows=1), executor)
            asked = [asyncio.create_task(lane.ask({"x": ONE})) for _ in range(3)]
            await asyncio.sleep(0.01)
            await lane.close(0.01)
            outcomes = await asyncio.gather(*asked)
        assert outcomes[0].error is None
        assert all(isinstance(outcome.error, NotReady) for outcome in outcomes[1:])

    run(work)


def test_a_model_that_does_not_batch_gets_one_request_at_a_time(tmp_path: Path) -> None:
    fixed = Signature((TensorSpec("x", DataType.FP32, (1, 3)),), (TensorSpec("y", DataType.FP32, (1, 3)),))
    folder = write_artifact(tmp_path / "fixed", scaler(batch=1), fixed)

    async def work() -> None:
        async with lane_for(folder) as lane:
            outcomes = await asyncio.gather(*(lane.ask({"x": ONE * i}) for i in range(5)))
            assert [float(outcome.outputs["y"][0, 0]) for outcome in outcomes] == [0, 2, 4, 6, 8]
            assert lane.stats.batches == 5

    run(work)


def test_requests_of_different_widths_never_share_a_batch(tmp_path: Path) -> None:
    anything = Signature(
        (TensorSpec("x", DataType.BYTES, (-1, 1)),), (TensorSpec("y", DataType.BYTES, (-1, 1)),)
    )
    folder = write_artifact(tmp_path / "text", echo_text(), anything)

    async def work() -> None:
        async with lane_for(folder) as lane:
            words = [np.array([[word]], dtype=object) for word in ("a", "ä", "")]
            outcomes = await asyncio.gather(*(lane.ask({"x": word}) for word in words))
            assert [outcome.outputs["y"][0, 0] for outcome in outcomes] == ["a", "ä", ""]
            raw = await lane.ask({"x": np.array([["ä".encode()]], dtype=object)})
            assert raw.outputs["y"][0, 0] == "ä"
            bad = await lane.ask({"x": np.array([[b"\xff"]], dtype=object)})
            assert isinstance(bad.error, Malformed)

    run(work)


def test_a_backend_that_breaks_fails_its_batch_and_nothing_else(twice: Path) -> None:
    class Moody(Slow):
        def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
            if inputs["x"][0, 0] == 7:
                raise RuntimeError("/secret/path")
            if inputs["x"][0, 0] == 8:
                return {"y": np.zeros((5, 3), dtype=np.float32)}
            return super().run(inputs, outputs)

    async def work() -> None:
        loaded = load(twice)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(Moody(loaded.backend, 0), loaded.signature, BatchLimits(batch_rows=1), executor)
            broken, short, fine = await asyncio.gather(*(lane.ask({"x": ONE * i}) for i in (7, 8, 9)))
            await lane.close(1.0)
        assert isinstance(broken.error, Broken)
        assert "secret" not in str(broken.error)
        assert isinstance(short.error, Broken)
        assert fine.error is None

    run(work)


def test_one_whose_row_breaks_the_model_spoils_nobody_elses_answer(twice: Path) -> None:
    class Moody(Slow):
        def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
            if 7 in inputs["x"]:
                raise KeyError("seven")
            return super().run(inputs, outputs)

    async def work() -> None:
        loaded = load(twice)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(Moody(loaded.backend, 0), loaded.signature, BatchLimits(), executor)
            one, broken, two = await asyncio.gather(*(lane.ask({"x": ONE * i}) for i in (1, 7, 2)))
            await lane.close(1.0)
        assert type(broken.error) is Broken
        assert (one.outputs["y"][0, 0], two.outputs["y"][0, 0]) == (2, 4)

    run(work)


def test_a_batch_whose_process_died_is_not_tried_again(twice: Path) -> None:
    class Mortal(Slow):
        def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
            self.batches.append(len(inputs["x"]))
            raise Died(f"it is gone, and {outputs} with it")

    async def work() -> None:
        loaded = load(twice)
        mortal = Mortal(loaded.backend, 0)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(mortal, loaded.signature, BatchLimits(), executor)
            told = await asyncio.gather(*(lane.ask({"x": ONE}) for _ in range(3)))
            await lane.close(1.0)
        assert [type(outcome.error) for outcome in told] == [Died] * 3
        assert sum(mortal.batches) == 3

    run(work)


def test_what_computes_apart_never_holds_up_the_loop(twice: Path) -> None:
    class Apart(Slow):
        @property
        def apart(self) -> bool:
            return True

        def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
            assert threading.current_thread() is not threading.main_thread()
            return super().run(inputs, outputs)

    async def work() -> None:
        loaded = load(twice)
        with ThreadPoolExecutor(1) as executor:
            lane = Lane(Apart(loaded.backend, 0), loaded.signature, BatchLimits(), executor, cost_s=0.0)
            assert (await lane.ask({"x": ONE})).error is None
            await lane.close(1.0)

    run(work)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "missing ['x']"),
        ({"x": ONE, "z": ONE}, "unexpected ['z']"),
        ({"z": ONE}, "missing ['x'] and unexpected ['z']"),
        ({"x": ONE.astype(np.float64)}, "takes FP32, got float64"),
        ({"x": np.ones((1, 4), dtype=np.float32)}, "takes the shape [-1, 3]"),
        ({"x": np.ones(3, dtype=np.float32)}, "takes the shape [-1, 3]"),
        ({"x": ONE * np.nan}, "has a NaN in row 0"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_what_does_not(
    twice: Path, inputs: Tensors, sentence: str
) -> None:
    async def work() -> None:
        async with lane_for(twice) as lane:
            with pytest.raises(Malformed) as told:
                lane.submit(inputs, lambda _: None)
            assert sentence in str(told.value)

    run(work)


def test_an_artifact_whose_signature_lies_is_not_loaded(tmp_path: Path) -> None:
    wide = Signature((TensorSpec("x", DataType.FP32, (-1, 4)),), TWICE.outputs)
    with pytest.raises(Malformed, match=r"declared FP32 \[-1, 4\], the model has FP32 \[-1, 3\]"):
        load(write_artifact(tmp_path / "wide", scaler(), wide))
    renamed = Signature((TensorSpec("z", DataType.FP32, (-1, 3)),), TWICE.outputs)
    with pytest.raises(Malformed, match="names the inputs"):
        load(write_artifact(tmp_path / "renamed", scaler(), renamed))
    more = Signature(TWICE.inputs, (TensorSpec("probabilities", DataType.FP32, (-1, 3)),))
    with pytest.raises(Malformed, match="has the output 'probabilities'"):
        load(write_artifact(tmp_path / "more", scaler(), more))


def test_a_file_that_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=r"ONNX Runtime cannot load model\.onnx"):
        load(write_artifact(tmp_path / "rubbish", b"this is no model"))


def test_zeros_fit_their_specification() -> None:
    assert zeros(TensorSpec("x", DataType.FP32, (-1, 3))).shape == (1, 3)
    assert zeros(TensorSpec("t", DataType.BYTES, (-1, 2))).tolist() == [["", ""]]


def test_an_outcome_says_where_the_time_went(twice: Path) -> None:
    async def work() -> None:
        async with lane_for(twice) as lane:
            outcome: Outcome = await lane.ask({"x": ONE})
            assert outcome.compute_ns > 0
            assert outcome.queue_ns >= 0

    run(work)
