"""Permits of a limit: whatever gets lost, overtaken or killed, no window sees more than the limit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.control.billing.leases import Leases
from forebay.control.billing.limits import CallLimits
from forebay.control.billing.permits import LEASE_S, WRITTEN_S, PermitBook
from forebay.control.store import Database
from forebay.core import CallLimit, Lease, LeaseAsk, PermitsAsked
from forebay.serving.usage.meter import Meter


@dataclass
class Worker:
    """One worker process as the limiter uses its meter: a question at a time, which may get lost."""

    holder: str
    meter: Meter
    calls: list[int] = field(default_factory=list)
    asked: tuple[float, PermitsAsked, int] | None = None
    number: int = 0


class Place:
    """A hub and its workers, on a clock that the test turns."""

    def __init__(self, limit: CallLimit, seed: int) -> None:
        self.limit = limit
        self.random = random.Random(seed)  # noqa: S311 (a play, not a secret)
        self.now_s = 1000.0
        self.written: dict[str, tuple[int, int]] = {}
        self.books = [PermitBook(), PermitBook()]
        self.workers = [self.fresh() for _ in range(3)]
        self.spent: list[tuple[float, int]] = []

    def fresh(self) -> Worker:
        return Worker(f"w{self.random.getrandbits(64)}", Meter(self.limit))

    def play(self, steps: int) -> Iterator[int]:
        """What was spent within a period, after each of so many steps that nobody foresees."""
        names = (
            "call",
            "call",
            "call",
            "end",
            "ask",
            "ask",
            "answer",
            "answer",
            "lose",
            "wait",
            "kill",
            "hub",
        )
        weights = (6, 6, 6, 6, 6, 6, 6, 6, 1, 8, 0.3, 0.3)
        for _ in range(steps):
            step: Callable[[Worker], None] = getattr(self, self.random.choices(names, weights)[0])
            step(self.random.choice(self.workers))
            yield self.in_window()

    def call(self, worker: Worker) -> None:
        cost = self.random.choice((1, 1, 2, 5))
        if worker.meter.has(cost, self.now_s):
            worker.meter.spend(cost, self.now_s)
            worker.calls.append(cost)
            self.spent.append((self.now_s, cost))
        else:
            worker.meter.wanted += cost

    def end(self, worker: Worker) -> None:
        if worker.calls:
            worker.meter.end(worker.calls.pop())

    def ask(self, worker: Worker) -> None:
        said = worker.meter.ask(self.now_s) if worker.asked is None else None
        if said is not None:
            worker.number += 1
            worker.asked = (self.now_s, said, worker.number)

    def answer(self, worker: Worker) -> None:
        if worker.asked is None:
            return
        asked_s, said, number = worker.asked
        worker.asked = None
        lease = self.hear(worker.holder, said, number)
        if self.random.random() < 0.9:  # else the answer gets lost
            worker.meter.grant(lease, self.now_s, asked_s + LEASE_S)

    def hear(self, holder: str, said: PermitsAsked, number: int) -> Lease:
        """One of two hubs over one database answers, as `Leases` does."""
        book = self.random.choice(self.books)
        book.see(self.written, self.now_s)
        assert not book.is_old(holder, number)
        lease = book.answer(self.limit, holder, said, self.now_s)
        before = {name: permits for name, (permits, _) in self.written.items()}
        if book.shares != before or book.is_due(holder, self.now_s):
            book.note(holder, number, self.now_s)
            self.written = {name: one for name, one in self.written.items() if name in book.shares}
            self.written[holder] = (book.shares[holder], number)
        return lease

    def lose(self, worker: Worker) -> None:
        """The worker gives up; its question arrives never, or after the next one, and is then not heard."""
        worker.asked = None

    def wait(self, _worker: Worker) -> None:
        self.now_s += self.random.choice((0.001, 0.02, 0.2, 1.0, 1.0, 20.0))

    def kill(self, worker: Worker) -> None:
        self.workers[self.workers.index(worker)] = self.fresh()

    def hub(self, _worker: Worker) -> None:
        self.books[self.random.randrange(2)] = PermitBook()

    def in_window(self) -> int:
        if not self.limit.period_s:
            return sum(sum(worker.calls) for worker in self.workers)
        since_s = self.now_s - self.limit.period_s
        self.spent = [(time_s, cost) for time_s, cost in self.spent if time_s > since_s]
        return sum(cost for _, cost in self.spent)


@given(
    seed=st.integers(0, 2**32),
    amount=st.integers(1, 200),
    period_s=st.sampled_from((0, 1, 60)),
)
@settings(max_examples=150, deadline=None)
def test_no_window_sees_more_than_the_limit_whatever_happens(seed: int, amount: int, period_s: int) -> None:
    unit = "request" if period_s else "concurrent"
    place = Place(CallLimit("a", "default", unit, amount, period_s), seed)
    assert max(place.play(400)) <= amount


def minute(amount: int) -> CallLimit:
    return CallLimit("a", "default", "request", amount, 60)


def test_all_of_a_limit_is_used_by_workers_that_come_and_go() -> None:
    limit, book, now_s, used = minute(100), PermitBook(), 0.0, 0
    for name in ("a", "b", "c"):
        meter = Meter(limit)
        for _ in range(60):
            meter.wanted = 0 if meter.has(1, now_s) else 1
            said = meter.ask(now_s)
            if said is not None:
                meter.grant(book.answer(limit, name, said, now_s), now_s, now_s + LEASE_S)
            if meter.has(1, now_s):
                meter.spend(1, now_s)
                used += 1
            now_s += 0.01
        meter.retire()
        said = meter.ask(now_s)
        if said is not None:
            meter.grant(book.answer(limit, name, said, now_s), now_s, now_s + LEASE_S)
    assert used == 100


def test_a_worker_without_a_hub_uses_up_its_lease_and_then_refuses() -> None:
    meter = Meter(minute(100))
    meter.grant(Lease(3, 97, 100), 0.0, LEASE_S)
    for _ in range(3):
        assert meter.has(1, 1.0)
        meter.spend(1, 1.0)
    assert not meter.has(1, 1.0)
    assert not meter.has(1, 70.0), "the permits are back, but the lease is over"


def test_who_has_everything_leaves_half_to_a_second_one_that_wants_some() -> None:
    limit, book = minute(100), PermitBook()
    assert book.answer(limit, "a", PermitsAsked(0, 500), 0.0) == Lease(100, 0, 100)
    assert book.answer(limit, "b", PermitsAsked(0, 10), 0.1).share == 0
    assert book.answer(limit, "a", PermitsAsked(100, 0), 0.2).ceiling == 50
    assert book.answer(limit, "a", PermitsAsked(50, 0), 0.3) == Lease(50, 50, 50)
    assert book.answer(limit, "b", PermitsAsked(0, 10), 0.4).share == 10


def test_what_a_killed_worker_had_comes_back_when_it_has_cooled() -> None:
    limit, book = minute(100), PermitBook()
    book.answer(limit, "killed", PermitsAsked(0, 100), 0.0)
    assert book.answer(limit, "next", PermitsAsked(0, 100), LEASE_S + WRITTEN_S + 59).share == 0
    assert book.answer(limit, "next", PermitsAsked(0, 100), LEASE_S + WRITTEN_S + 61).share == 100


def test_a_hub_that_starts_anew_gives_nothing_twice(database: Database) -> None:
    limit = CallLimits(database).set("default", "request", 10, "k", period="minute").limit
    Leases(database).answer(LeaseAsk("a", 1, {limit.id: PermitsAsked(0, 8)}))
    again = Leases(database)
    assert again.answer(LeaseAsk("b", 1, {limit.id: PermitsAsked(0, 8)})).limits[limit.id].share == 2
    assert again.answer(LeaseAsk("a", 2, {limit.id: PermitsAsked(8, 1)})).limits[limit.id].share == 8


def test_an_old_word_that_was_overtaken_changes_nothing(database: Database) -> None:
    limit = CallLimits(database).set("default", "request", 10, "k", period="minute").limit
    leases = Leases(database)
    leases.answer(LeaseAsk("a", 2, {limit.id: PermitsAsked(0, 8)}))
    assert Leases(database).answer(LeaseAsk("a", 1, {limit.id: PermitsAsked(0, 8)})).limits == {}
    assert leases.answer(LeaseAsk("b", 1, {limit.id: PermitsAsked(0, 8)})).limits[limit.id].share == 2


@pytest.mark.parametrize("workers", [1, 4])
def test_permits_that_nobody_needs_go_back_within_a_round_or_two(workers: int) -> None:
    limit, book = minute(64), PermitBook()
    meters = [Meter(limit) for _ in range(workers)]
    for name, meter in enumerate(meters):
        meter.wanted = 1
        said = meter.ask(0.0)
        assert said is not None
        meter.grant(book.answer(limit, str(name), said, 0.0), 0.0, LEASE_S)
    for name, meter in enumerate(meters):
        said = meter.ask(2.0)
        assert said is not None
        meter.grant(book.answer(limit, str(name), said, 2.0), 2.0, 2.0 + LEASE_S)
    assert sum(book.shares.values()) == 0
