from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.errors import Full, TooLarge
from forebay.serving.engine import Batcher, BatchLimits, Seat

Moves = list[tuple[str, int, int]]
moves = st.lists(
    st.tuples(
        st.sampled_from(["offer", "offer", "withdraw", "take", "wait"]), st.integers(0, 12), st.integers(0, 2)
    ),
    max_size=80,
)


class Game:
    """A lane as callers and a clock play it, and what must be true of it at every moment."""

    def __init__(self, limits: BatchLimits) -> None:
        self.batcher: Batcher[int] = Batcher(limits, 1e-3)
        self.limits = limits
        self.now_s = 0.0
        self.free_s = 0.0
        self.waiting: dict[int, Seat[int]] = {}
        self.seats: list[Seat[int]] = []
        self.served: list[int] = []

    def offer(self, rows: int, shape: int) -> None:
        self.now_s += rows * 1e-5
        if sum(seat.weight for seat in self.waiting.values()) + max(rows, 1) > self.limits.queue_rows:
            with pytest.raises((Full, TooLarge)):
                self.batcher.offer(rows, rows, self.now_s, shape)
        else:
            seat = self.batcher.offer(rows, rows, self.now_s, shape)
            self.seats.append(seat)
            self.waiting[seat.number] = seat

    def withdraw(self, back: int, _shape: int) -> None:
        if back < len(self.seats):
            seat = self.seats[-1 - back]
            assert self.batcher.withdraw(seat) is (seat.number in self.waiting)
            self.waiting.pop(seat.number, None)

    def take(self, cost: int, _shape: int) -> None:
        batch = self.batcher.take()
        numbers = [seat.number for seat in batch]
        if not self.waiting:
            assert batch == []
            return
        assert numbers[0] == min(self.waiting), "the oldest goes first"
        assert numbers == sorted(numbers), "the order of arrival is kept"
        assert len({seat.shape for seat in batch}) == 1, "different shapes shared a batch"
        weight = sum(seat.weight for seat in batch)
        assert weight <= self.limits.batch_rows or len(numbers) == 1, "the batch is too large"
        line = [n for n in sorted(self.waiting) if self.waiting[n].shape == batch[0].shape]
        assert numbers == line[: len(numbers)], "somebody was overtaken by one of the same shape"
        for n in numbers:
            del self.waiting[n]
            self.served.append(n)
        self.now_s += cost * 1e-3
        self.free_s = self.now_s
        self.batcher.spent(batch, cost * 1e-3, self.now_s)

    def wait(self, _rows: int, _shape: int) -> None:
        """Let the clock run until the next batch has to leave."""
        due_s = self.batcher.due_s(self.now_s)
        if not self.waiting:
            assert due_s is None
            return
        assert due_s is not None
        oldest = self.waiting[min(self.waiting)]
        assert due_s <= max(max(oldest.since_s, self.free_s) + self.limits.wait_s, self.now_s)
        self.now_s = max(self.now_s, due_s)
        again_s = self.batcher.due_s(self.now_s)
        assert again_s is not None
        assert again_s <= self.now_s, "nobody came, and yet they wait again"


@given(moves, st.integers(1, 8), st.integers(8, 40), st.sampled_from([0.0, 1e-4, 1.0]))
def test_each_seat_leaves_once_in_order_and_nobody_is_forgotten(
    played: Moves, batch_rows: int, queue_rows: int, wait_s: float
) -> None:
    game = Game(BatchLimits(batch_rows, wait_s, queue_rows))
    for move, number, shape in played:
        getattr(game, move)(number, shape)
        assert len(game.batcher) == len(game.waiting)
    while len(game.batcher):
        game.take(1, 0)
    assert not game.waiting, "somebody was forgotten"
    assert len(game.served) == len(set(game.served)), "somebody was served twice"
    assert game.batcher.rows == 0
    assert game.batcher.due_s(game.now_s) is None
    assert not any(game.batcher.withdraw(seat) for seat in game.seats), "somebody left after being served"


def crowded(wait_s: float) -> Batcher[str]:
    """A lane whose batches cost 5 ms however many go together, and that eight callers come back to."""
    batcher: Batcher[str] = Batcher(BatchLimits(batch_rows=8, wait_s=wait_s, queue_rows=100), 5e-3)
    now_s = 0.0
    for _ in range(20):
        while batcher.rows < 8:
            now_s += 1e-4
            batcher.offer(1, "one of the crowd", now_s)
        while seats := batcher.take():
            now_s += 5e-3
            batcher.spent(seats, 5e-3, now_s)
    batcher.offer(1, "first", 10.0)
    batcher.spent([batcher.take()[0]], 5e-3, 10.0)
    return batcher


def test_the_first_of_a_crowd_waits_for_the_others_and_for_each_anew_but_never_longer_than_allowed() -> None:
    batcher = crowded(wait_s=0.5e-3)
    moment_s = 10.0
    for _ in range(5):
        moment_s += 1e-4
        batcher.offer(1, "back again", moment_s)
        due_s = batcher.due_s(moment_s)
        assert due_s is not None
        assert moment_s < due_s <= 10.1e-3 + 10.0 or due_s == moment_s
        assert due_s <= 10.0 + 1e-4 + 0.5e-3 + 1e-9
    assert batcher.due_s(10.1) == pytest.approx(10.0 + 1e-4 + 0.5e-3, abs=2e-4), "it is overdue"


def test_nobody_waits_where_waiting_is_not_allowed_or_somebody_of_another_shape_could_go() -> None:
    never = crowded(wait_s=0.0)
    never.offer(1, "back again", 10.0001)
    assert never.due_s(10.0001) == 10.0001
    mixed = crowded(wait_s=0.5)
    mixed.offer(1, "back again", 10.0001)
    mixed.offer(1, "of another shape", 10.0001, shape="other")
    assert mixed.due_s(10.0001) == 10.0001


def test_an_idle_lane_adds_no_wait() -> None:
    batcher = crowded(wait_s=0.5)
    batcher.offer(1, "long after", 60.0)
    assert batcher.due_s(60.0) == 60.0


def test_a_full_queue_says_how_long_it_is_going_to_take() -> None:
    batcher: Batcher[str] = Batcher(BatchLimits(batch_rows=2, queue_rows=4), 2.0)
    batcher.offer(4, "all of it", 0.0)
    with pytest.raises(Full) as told:
        batcher.offer(1, "one more", 0.0)
    assert told.value.retry_after_s == 8.0
    for _ in range(200):
        seats = [batcher.offer(0, "nothing", 0.0)] if not batcher.rows else batcher.take()
        batcher.spent(seats, 0.5, 1.0)
        batcher.take()
    assert batcher.row_s == pytest.approx(0.5, rel=0.01)


def test_a_request_larger_than_a_batch_goes_alone() -> None:
    batcher: Batcher[str] = Batcher(BatchLimits(batch_rows=2, queue_rows=10))
    batcher.offer(7, "large", 0.0)
    batcher.offer(1, "small", 0.0)
    assert [seat.load for seat in batcher.take()] == ["large"]
    assert [seat.load for seat in batcher.take()] == ["small"]


def test_a_request_that_can_never_fit_is_told_so() -> None:
    batcher: Batcher[str] = Batcher(BatchLimits(batch_rows=2, queue_rows=4))
    with pytest.raises(TooLarge, match="5 rows in one request; this model takes 4"):
        batcher.offer(5, "huge", 0.0)


def test_limits_that_can_never_work_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        BatchLimits(batch_rows=0)
    with pytest.raises(ValueError, match="never fills"):
        BatchLimits(batch_rows=8, queue_rows=4)
