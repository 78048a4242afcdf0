from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core import Tensors
from forebay.core.errors import Late, Malformed
from forebay.serving.engine import BatchLimits, Lane, Outcome, load
from forebay.serving.engine.cache import Answers, Cache, digest_of
from support.held import holding
from support.tiny_models import scaler, write_artifact

ONE = np.ones((1, 3), dtype=np.float32)


class Asking:
    """Callers of a lane with a cache, and what they have heard."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.heard: dict[str, Outcome] = {}

    def ask(self, name: str, value: float, wait_s: float = 20.0) -> None:
        assert self.lane.cache is not None
        inputs = {"x": ONE * np.float32(value)}
        self.leave = self.lane.cache.ask(
            inputs, lambda outcome: self.heard.__setitem__(name, outcome), time.monotonic() + wait_s
        )

    async def all_have_heard(self, *names: str) -> None:
        for _ in range(1000):
            if set(names) <= set(self.heard):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"only {list(self.heard)} have heard")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_artifact(tmp_path / "twice", scaler())


def lane_of(folder: Path, executor: ThreadPoolExecutor, cache_bytes: int = 1 << 20) -> Lane:
    loaded = load(folder)
    lane = Lane(loaded.backend, loaded.signature, BatchLimits(), executor, cost_s=loaded.cost_s)
    lane.keep(cache_bytes)
    return lane


def test_who_asks_the_same_again_is_answered_without_computing(folder: Path) -> None:
    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            asking = Asking(lane_of(folder, executor))
            for name, value in (("first", 1), ("again", 1), ("other", 2)):
                asking.ask(name, value)
                await asking.all_have_heard(name)
            uses = {name: outcome.cache for name, outcome in asking.heard.items()}
            assert uses == {"first": "stored", "again": "hit", "other": "stored"}
            np.testing.assert_array_equal(asking.heard["again"].outputs["y"], 2 * ONE)
            again = asking.heard["again"]
            assert (again.rows, again.queue_ns, again.compute_ns, again.cached) == (1, 0, 0, True)
            assert asking.lane.stats.answered == 2
            await asking.lane.close(1.0)
            assert asking.lane.cache is None, "what a version has answered leaves with it"

    asyncio.run(work())


def test_those_who_ask_the_same_at_once_share_one_computation_even_if_the_first_leaves(folder: Path) -> None:
    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            asking = Asking(lane_of(folder, executor))
            with holding(asking.lane) as held:
                asking.ask("in front", 9)
                while not held.began.is_set():
                    await asyncio.sleep(0.01)
                asking.ask("first", 1)
                first_leaves = asking.leave
                asking.ask("second", 1)
                asking.ask("third", 1)
                first_leaves()
                assert asking.lane.waiting == 1
            await asking.all_have_heard("in front", "second", "third")
            assert "first" not in asking.heard
            assert (asking.heard["second"].cache, asking.heard["third"].cache) == ("stored", "shared")
            assert asking.heard["third"].compute_ns == 0
            assert asking.lane.stats.answered == 2
            await asking.lane.close(1.0)

    asyncio.run(work())


def test_when_all_who_ask_have_left_nothing_is_computed_and_leaving_again_is_harmless(folder: Path) -> None:
    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            asking = Asking(lane_of(folder, executor))
            with holding(asking.lane) as held:
                asking.ask("in front", 9)
                while not held.began.is_set():
                    await asyncio.sleep(0.01)
                asking.ask("one", 1)
                asking.leave()
                asking.leave()
                assert asking.lane.waiting == 0
            asking.ask("after", 1)
            await asking.all_have_heard("in front", "after")
            assert asking.heard["after"].cache == "stored"
            await asking.lane.close(1.0)

    asyncio.run(work())


def test_one_who_can_wait_longer_is_not_told_the_deadline_of_another(folder: Path) -> None:
    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            asking = Asking(lane_of(folder, executor))
            with holding(asking.lane) as held:
                asking.ask("in front", 9)
                while not held.began.is_set():
                    await asyncio.sleep(0.01)
                asking.lane._batcher.row_s = 0.0
                asking.ask("hurried", 1, wait_s=0.05)
                asking.ask("patient", 1)
                asking.ask("hurried too", 1, wait_s=0.05)
                await asyncio.sleep(0.1)
            await asking.all_have_heard("hurried", "patient", "hurried too")
            assert asking.heard["patient"].error is None
            assert isinstance(asking.heard["hurried too"].error, Late)
            await asking.lane.close(1.0)

    asyncio.run(work())


def test_errors_are_never_kept(folder: Path) -> None:
    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            asking = Asking(lane_of(folder, executor))
            cache = asking.lane.cache
            assert cache is not None
            with suppress(Malformed):
                cache.ask({"x": ONE.astype(np.int64)}, lambda _: None, np.inf)
            asking.ask("late", 3, wait_s=-1)
            await asking.all_have_heard("late")
            assert asking.heard["late"].error is not None
            assert asking.heard["late"].cache == ""
            assert len(cache.answers) == 0
            assert not cache._flights
            await asking.lane.close(1.0)

    asyncio.run(work())


def test_an_answer_larger_than_the_cache_passes_and_a_smaller_cache_forgets(folder: Path) -> None:
    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            asking = Asking(lane_of(folder, executor, cache_bytes=10))
            asking.ask("large", 1)
            await asking.all_have_heard("large")
            assert asking.heard["large"].cache == "passed"
            asking.lane.keep(1 << 20)
            asking.ask("kept", 1)
            await asking.all_have_heard("kept")
            cache = asking.lane.cache
            assert isinstance(cache, Cache)
            assert len(cache.answers) == 1
            asking.lane.keep(10)
            assert (len(cache.answers), cache.answers.size_bytes) == (0, 0)
            asking.lane.keep(0)
            assert asking.lane.cache is None
            await asking.lane.close(1.0)

    asyncio.run(work())


def test_an_answer_out_of_a_batch_keeps_no_more_than_its_own_rows() -> None:
    answers = Answers(100_000)
    batch = np.zeros((1000, 100), dtype=np.float32)
    answers.put(b"d", {"y": batch[3:4]}, 1)
    kept = answers.get(b"d")
    assert kept is not None
    assert kept.outputs["y"].base is None
    with pytest.raises(ValueError, match="read-only"):
        kept.outputs["y"][0, 0] = 1


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 8000),
    st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 600)), max_size=60),
)
def test_a_cache_is_never_larger_than_allowed_and_forgets_the_longest_unused(
    limit_bytes: int, played: list[tuple[bool, int, int]]
) -> None:
    answers, used = Answers(limit_bytes), dict[bytes, int]()
    for reads, which, size in played:
        key = bytes([which])
        if reads:
            kept = answers.get(key)
            assert (kept is None) is (key not in used)
            if kept is not None:
                assert kept.outputs["y"].nbytes == used[key]
                used[key] = used.pop(key)
        elif answers.put(key, {"y": np.zeros(size, np.uint8)}, 1):
            used.pop(key, None)
            used[key] = size
            while len(used) > len(answers):
                del used[next(iter(used))]
        assert answers.size_bytes <= limit_bytes
        assert list(answers._kept) == list(used)
    assert answers.size_bytes == sum(kept.size_bytes for kept in answers._kept.values())


SAME = [
    ({"a": ONE, "b": ONE}, {"b": ONE, "a": ONE}),
    ({"t": np.array([["ä"]], dtype=object)}, {"t": np.array([["ä".encode()]], dtype=object)}),
    ({"a": np.arange(6).reshape(2, 3)[:, ::2]}, {"a": np.array([[0, 2], [3, 5]])}),
]
OTHER = [
    ({"a": ONE}, {"b": ONE}),
    ({"a": ONE}, {"a": ONE.astype(np.float64)}),
    ({"a": ONE}, {"a": ONE.view(np.int32)}),
    ({"a": np.zeros((2, 3))}, {"a": np.zeros((3, 2))}),
    ({"a": np.zeros((0, 3))}, {"a": np.zeros((0, 2))}),
    ({"t": np.array(["a", "bc"], dtype=object)}, {"t": np.array(["ab", "c"], dtype=object)}),
    ({"a": ONE, "b": 2 * ONE}, {"a": 2 * ONE, "b": ONE}),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_the_same_question_has_the_same_digest_however_it_came(one: Tensors, two: Tensors) -> None:
    assert digest_of(one) == digest_of(two)


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_another_name_datatype_shape_or_value_is_another_question(one: Tensors, two: Tensors) -> None:
    assert digest_of(one) != digest_of(two)
