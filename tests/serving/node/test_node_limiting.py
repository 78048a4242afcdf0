"""Calls at once, and calls that wait for a permit: let in, refused, or left when their caller leaves."""

from __future__ import annotations

import time

import pytest

from forebay.core import CallLimit, ForebayError, Lease, LeaseAnswer, Principal
from forebay.core.errors import OverLimit
from forebay.serving.engine import Outcome
from forebay.serving.node.limiting import Done, Leave, Limiter

CALLER = Principal("k", "default", frozenset())
COSTS = {"request": 1, "row": 1, "byte": 1, "concurrent": 1}


class Calls:
    """A limiter of one limit, and what became of the calls that were made through it."""

    def __init__(self, unit: str, amount: int, period_s: int) -> None:
        self.limiter = Limiter()
        self.limiter.apply((CallLimit("a", "default", unit, amount, period_s),))
        self.begun: list[Done] = []
        self.left = 0
        self.errors: list[ForebayError | None] = []

    def make(self) -> Leave:
        return self.limiter.enter(self.limiter.of(CALLER, "m"), COSTS, self._begin, self._done)

    def grant(self, share: int, free: int) -> None:
        waiting = self.limiter.waiting()
        self.limiter.asks(time.monotonic())
        answer = LeaseAnswer(30.0, {"a": Lease(share, free, 100)})
        self.limiter.answered(answer, time.monotonic(), waiting)

    def _begin(self, done: Done) -> Leave:
        self.begun.append(done)
        return self._leave

    def _leave(self) -> None:
        self.left += 1

    def _done(self, outcome: Outcome) -> None:
        self.errors.append(outcome.error)


def test_a_call_that_waits_is_let_in_when_the_hub_has_permits_and_refused_when_it_has_none() -> None:
    calls = Calls("request", 100, 60)
    calls.make()
    calls.make()
    assert calls.begun == []
    calls.grant(1, 0)
    assert len(calls.begun) == 1
    assert [type(error) for error in calls.errors] == [OverLimit]
    with pytest.raises(OverLimit):
        calls.make()


def test_a_caller_that_leaves_while_it_waits_takes_no_permit() -> None:
    calls = Calls("request", 100, 60)
    calls.make()()
    calls.grant(1, 99)
    assert (calls.begun, calls.left, calls.errors) == ([], 0, [])
    calls.make()
    assert len(calls.begun) == 1


def test_calls_at_once_are_as_many_as_the_limit_says_and_an_answer_makes_room() -> None:
    calls = Calls("concurrent", 1, 0)
    calls.make()
    calls.grant(1, 0)
    with pytest.raises(OverLimit):
        calls.make()
    calls.begun[0](Outcome({}, None, 1, 0, 0))
    leave = calls.make()
    with pytest.raises(OverLimit):
        calls.make()
    leave()
    leave()
    assert calls.left == 2
    calls.make()
    with pytest.raises(OverLimit):
        calls.make()


def test_a_hub_that_is_away_lets_in_what_is_leased_and_nobody_waits_for_it() -> None:
    calls = Calls("request", 100, 60)
    calls.make()
    calls.limiter.away(calls.limiter.waiting())
    assert [type(error) for error in calls.errors] == [OverLimit]
    with pytest.raises(OverLimit):
        calls.make()
