from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.serving.engine import Batcher, BatchLimits
from forebay.serving.engine.pace import Pace

Cost = Callable[[int], float]


def fixed(rows: int) -> float:
    """A call costs the same, however many rows."""
    return 2e-3 + rows * 1e-6


def heavy(rows: int) -> float:
    """Ten million weights to be read for every batch, whatever its size."""
    return 1.4e-3 + rows * 80e-6


def tiny(rows: int) -> float:
    """A perceptron on a core: the overhead of a call dominates."""
    return 10e-6 + rows * 2e-6


def dearer(rows: int) -> float:
    """A model that outgrows the cache: a row costs more in a larger batch, as magika's do."""
    return rows * 8e-3 * (1 + 0.1 * (rows - 1))


def linear(rows: int) -> float:
    return rows * 5e-3


def learnt(cost: Cost, *, waiting: int = 64, most: int = 64, batches: int = 200) -> tuple[Pace, list[int]]:
    """A pace after *batches* with always *waiting* rows in the queue, and the sizes that it chose."""
    pace, sizes = Pace(cost(1)), []
    for _ in range(batches):
        sizes.append(pace.size(waiting, most))
        pace.spent(sizes[-1], cost(sizes[-1]), waiting)
    return pace, sizes


def burst(pace: Pace) -> None:
    """Sixteen callers, 50 µs apart, the first of them 50 µs after the last batch, which ended at 0."""
    pace.ended(0, 0.0)
    pace.leave([50e-6 * (i + 1) for i in range(16)], 15)
    pace.ended(0, 0.0)


@pytest.mark.parametrize(("cost", "least", "largest"), [(fixed, 64, 64), (tiny, 64, 64), (dearer, 1, 1)])
def test_a_lane_learns_the_batch_size_that_answers_most_rows(cost: Cost, least: int, largest: int) -> None:
    _, sizes = learnt(cost)
    usual = sorted(sizes[-64:])[8:-8]
    assert least <= usual[0]
    assert usual[-1] <= largest


def test_a_model_whose_rows_cost_alike_is_not_made_to_wait_for_large_batches() -> None:
    _, sizes = learnt(linear)
    assert sorted(sizes[-64:])[32] <= 2


def test_trying_other_sizes_costs_next_to_nothing() -> None:
    for cost, best in ((dearer, 1), (fixed, 64)):
        _, sizes = learnt(cost, batches=2000)
        rows = sum(sizes)
        assert sum(map(cost, sizes)) <= 1.03 * rows * cost(best) / best


def test_one_slow_batch_does_not_turn_a_lane_away_from_a_good_size_for_ever() -> None:
    pace, sizes = Pace(fixed(1)), []
    for i in range(1500):
        size = pace.size(64, 64)
        sizes.append(size)
        pace.spent(size, fixed(size) * (50 if i in (9, 10, 11) else 1), 64)
    assert sorted(sizes[-64:])[8] == 64


def test_a_model_that_becomes_dear_in_large_batches_is_found_out() -> None:
    pace, _ = learnt(fixed)
    sizes = []
    for _ in range(600):
        sizes.append(pace.size(64, 64))
        pace.spent(sizes[-1], dearer(sizes[-1]), 64)
    assert sorted(sizes[-64:])[32] <= 2


def test_a_caller_alone_never_waits() -> None:
    pace = Pace(5e-3)
    for _ in range(100):
        pace.spent(1, 5e-3, 0)
        assert pace.hope_s(1, 64, 1, 0.0) == 0.0


def test_a_crowd_waits_for_each_other_when_one_call_serves_all() -> None:
    pace, _ = learnt(fixed, waiting=16, most=16)
    burst(pace)
    for _ in range(20):
        pace.spent(16, fixed(16), 0)
    assert pace.hope_s(1, 64, 1, 0.0) > 0
    assert pace.hope_s(16, 64, 16, 0.0) == 0.0, "all of them are here"


def test_nobody_waits_for_company_that_does_not_help() -> None:
    for cost in (dearer, linear, tiny):
        pace, _ = learnt(cost, waiting=16)
        burst(pace)
        assert pace.hope_s(1, 64, 1, 0.0) == 0.0


def test_a_crowd_that_has_left_is_soon_forgotten() -> None:
    pace, _ = learnt(fixed, waiting=16)
    burst(pace)
    for _ in range(20):
        pace.spent(1, fixed(1), 0)
    assert pace.hope_s(1, 64, 1, 0.0) == 0.0


measured = st.lists(
    st.tuples(st.integers(1, 300), st.floats(0, 1e3, allow_subnormal=False), st.integers(0, 500)), max_size=60
)


@settings(max_examples=100, deadline=None)
@given(measured, st.lists(st.lists(st.floats(0, 10), min_size=1, max_size=20), max_size=20), st.data())
def test_whatever_is_measured_sizes_fit_and_waits_are_finite(
    batches: list[tuple[int, float, int]], arrivals: list[list[float]], data: st.DataObject
) -> None:
    pace = Pace(data.draw(st.floats(0, 10)))
    for batch in batches:
        pace.spent(*batch)
    for arrival in arrivals:
        pace.ended(data.draw(st.integers(0, 30)), data.draw(st.floats(0, 10)))
        pace.leave(sorted(arrival), len(arrival) - 1)
    now_s = data.draw(st.floats(0, 20))
    for _ in range(20):
        waiting, most = data.draw(st.integers(1, 600)), data.draw(st.integers(1, 600))
        assert 1 <= pace.size(waiting, most) <= min(waiting, most)
        assert 0 <= pace.hope_s(waiting, most, waiting, now_s) < float("inf")
        assert 0 <= pace.cost_s(waiting) < float("inf")


class Bench:
    """Callers in a closed loop and one model, on a clock of its own: who asks again once answered."""

    def __init__(self, cost: Cost, callers: int, *, wait_s: float, turn_s: float = 100e-6) -> None:
        self.batcher: Batcher[int] = Batcher(BatchLimits(64, wait_s), cost(1))
        self.now_s = 0.0
        self.answered = 0
        self.batches: list[int] = []
        self._cost = cost
        self._turn_s = turn_s
        self._arrivals = [i * turn_s / 4 for i in range(callers)]

    def come_in_halves(self) -> None:
        """The second half of the callers comes while the first is being answered."""
        half = len(self._arrivals) // 2
        self._arrivals[half:] = [moment + self._cost(half) / 2 for moment in self._arrivals[half:]]

    def run(self, until_s: float) -> None:
        while self.now_s < until_s:
            self._let_in()
            due_s = self.batcher.due_s(self.now_s)
            if due_s is None or due_s > self.now_s:
                later = [moment for moment in (due_s, *self._arrivals[:1]) if moment is not None]
                self.now_s = max(self.now_s, min(later))
                continue
            self._serve()

    def _serve(self) -> None:
        seats = self.batcher.take()
        cost_s = self._cost(len(seats))
        self.now_s += cost_s
        self._let_in()
        self.batcher.spent(seats, cost_s, self.now_s)
        self.answered += len(seats)
        self.batches.append(len(seats))
        for place in range(len(seats)):  # answers are written one after another
            heapq.heappush(self._arrivals, self.now_s + self._turn_s * (1 + place / 4))

    def _let_in(self) -> None:
        while self._arrivals and self._arrivals[0] <= self.now_s:
            came_s = heapq.heappop(self._arrivals)
            self.batcher.offer(1, 0, came_s)


def answered(cost: Cost, callers: int, wait_s: float) -> int:
    bench = Bench(cost, callers, wait_s=wait_s)
    bench.run(0.2 if cost is tiny else 2.0)
    return bench.answered


def test_a_budget_to_wait_answers_more_where_one_call_serves_all_and_never_fewer_elsewhere() -> None:
    assert answered(fixed, 16, 2e-3) > 1.4 * answered(fixed, 16, 0.0)
    for cost, callers in (
        (heavy, 16),
        (dearer, 16),
        (linear, 16),
        (tiny, 16),
        (fixed, 1),
        (dearer, 1),
        (tiny, 1),
    ):
        assert answered(cost, callers, 2e-3) >= 0.98 * answered(cost, callers, 0.0)


def test_two_halves_of_a_crowd_that_answer_in_turn_become_one() -> None:
    bench = Bench(heavy, 16, wait_s=2e-3)
    bench.come_in_halves()
    bench.run(2.0)
    assert sum(bench.batches[-100:]) > 14 * 100
    assert bench.answered > 1.1 * 16 / (2 * heavy(8)) * 2.0


def test_many_callers_of_a_model_that_dislikes_batches_lose_nothing_against_one() -> None:
    one, many = answered(dearer, 1, 2e-3), answered(dearer, 16, 2e-3)
    assert many >= 0.97 * one


def test_a_caller_alone_is_answered_as_if_there_were_no_budget() -> None:
    assert answered(fixed, 1, 0.1) == answered(fixed, 1, 0.0)
