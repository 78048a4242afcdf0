from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core.errors import Full, TooLarge
from forebay.serving.engine import Batcher, BatchLimits, Seat

Moves = list[tuple[str, int, int]]
moves = st.lists(
    st.tuples(st.sampled_from(["offer", "offer", "withdraw", "take"]), st.integers(0, 12), st.integers(0, 2)),
    max_size=80,
)


@settings(max_examples=1000, deadline=None)
@given(moves, st.integers(1, 8), st.integers(8, 40))
def test_each_seat_leaves_once_in_order_and_nobody_is_forgotten(
    played: Moves, batch_rows: int, queue_rows: int
) -> None:
    batcher: Batcher[int] = Batcher(BatchLimits(batch_rows, 0.0, queue_rows))
    waiting: dict[int, tuple[int, int]] = {}
    seats: list[Seat[int]] = []
    served: list[int] = []
    for move, rows, shape in played:
        if move == "offer":
            weight = max(rows, 1)
            if sum(max(r, 1) for r, _ in waiting.values()) + weight > queue_rows:
                with pytest.raises((Full, TooLarge)):
                    batcher.offer(rows, rows, 0.0, shape)
            else:
                seat = batcher.offer(rows, rows, 0.0, shape)
                seats.append(seat)
                waiting[seat.number] = (rows, shape)
        elif move == "withdraw" and rows < len(seats):
            seat = seats[-1 - rows]
            assert batcher.withdraw(seat) is (seat.number in waiting)
            waiting.pop(seat.number, None)
        elif move == "take":
            _check_batch(batcher, waiting, served, batch_rows)
        assert len(batcher) == len(waiting)
    while len(batcher):
        _check_batch(batcher, waiting, served, batch_rows)
    assert not waiting, "somebody was forgotten"
    assert len(served) == len(set(served)), "somebody was served twice"
    assert batcher.rows == 0
    assert batcher.due_s() is None
    assert not any(batcher.withdraw(seat) for seat in seats), "somebody left after being served"


def _check_batch(
    batcher: Batcher[int], waiting: dict[int, tuple[int, int]], served: list[int], batch_rows: int
) -> None:
    batch = batcher.take()
    numbers = [seat.number for seat in batch]
    if not waiting:
        assert batch == []
        return
    assert numbers[0] == min(waiting), "the oldest goes first"
    assert numbers == sorted(numbers), "the order of arrival is kept"
    shapes = {waiting[n][1] for n in numbers}
    assert len(shapes) == 1, "different shapes shared a batch"
    weight = sum(max(waiting[n][0], 1) for n in numbers)
    assert weight <= batch_rows or len(numbers) == 1, "the batch is too large"
    line = [n for n in sorted(waiting) if waiting[n][1] in shapes]
    assert numbers == line[: len(numbers)], "somebody was overtaken by one of the same shape"
    for n in numbers:
        del waiting[n]
        served.append(n)


def test_a_batch_waits_for_company_until_the_oldest_has_waited_enough() -> None:
    batcher: Batcher[str] = Batcher(BatchLimits(batch_rows=2, wait_s=0.5, queue_rows=4))
    batcher.offer(1, "first", 10.0)
    assert batcher.due_s() == 10.5
    batcher.offer(1, "second", 10.2)
    assert batcher.due_s() == 10.0, "a full batch leaves at once"


def test_a_request_larger_than_a_batch_goes_alone() -> None:
    batcher: Batcher[str] = Batcher(BatchLimits(batch_rows=2, queue_rows=10))
    batcher.offer(7, "large", 0.0)
    batcher.offer(1, "small", 0.0)
    assert [seat.load for seat in batcher.take()] == ["large"]
    assert [seat.load for seat in batcher.take()] == ["small"]


def test_a_request_that_can_never_fit_is_told_so_and_a_full_queue_says_when_to_come_back() -> None:
    batcher: Batcher[str] = Batcher(BatchLimits(batch_rows=2, queue_rows=4))
    with pytest.raises(TooLarge, match="5 rows in one request; this model takes 4"):
        batcher.offer(5, "huge", 0.0)
    batcher.offer(4, "all of it", 0.0)
    with pytest.raises(Full) as told:
        batcher.offer(1, "one more", 0.0)
    assert told.value.retry_after_s


def test_limits_that_can_never_work_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        BatchLimits(batch_rows=0)
    with pytest.raises(ValueError, match="never fills"):
        BatchLimits(batch_rows=8, queue_rows=4)
