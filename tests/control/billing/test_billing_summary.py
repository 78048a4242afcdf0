"""Usage by model, key, version and day, and what it costs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forebay.control.billing import DEFAULT_PLAN, Grouping, Ledger, Use, cost
from forebay.control.store import Database
from forebay.core import Shipment, UsageEvent

MIDNIGHT = datetime(2025, 6, 16, tzinfo=UTC)


def event(
    hours: float = 0, *, project: str = "default", key: str = "k1", model: str = "digits", version: int = 1
) -> UsageEvent:
    time_ns = int((MIDNIGHT + timedelta(hours=hours)).timestamp()) * 10**9
    return UsageEvent(
        time_ns, project, key, model, version, "oip", "infer", 2, 100, 50, 1_000, 500_000_000, 600_000_000
    )


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def busy(ledger: Ledger) -> Ledger:
    events = (
        event(-1, key="k2"),
        event(0),
        event(1, version=2),
        event(2, version=10),
        event(30, model="iris"),
        event(0, project="lab"),
    )
    ledger.ingest("n", Shipment.of("j", 0, events))
    return ledger


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        (Grouping.MODEL, {"digits": 4, "iris": 1}),
        (Grouping.KEY, {"k1": 4, "k2": 1}),
        (Grouping.VERSION, {"digits:1": 2, "digits:2": 1, "digits:10": 1, "iris:1": 1}),
        (Grouping.DAY, {"2025-06-15": 1, "2025-06-16": 3, "2025-06-17": 1}),
    ],
)
def test_usage_is_added_up_by(busy: Ledger, by: Grouping, groups: dict[str, int]) -> None:
    summary = busy.summary("default", by)
    assert [(line.group, line.use.requests) for line in summary.lines] == list(groups.items())
    assert summary.total == Use(5, 10, 500, 250, 2_500_000_000)
    assert summary.cost == Decimal("0.0005") + Decimal("0.0001") + Decimal("0.0005")
    assert summary.amount == Decimal("0.00")
    assert summary.plan == DEFAULT_PLAN


def test_a_period_takes_its_first_moment_and_leaves_its_last_to_the_next(busy: Ledger) -> None:
    day = busy.summary("default", since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1))
    before = busy.summary("default", until=MIDNIGHT)
    after = busy.summary("default", since=MIDNIGHT + timedelta(days=1))
    assert [part.total.requests for part in (before, day, after)] == [1, 3, 1]
    naive = busy.summary("default", since=MIDNIGHT.replace(tzinfo=None))
    assert naive.total.requests == 4


def test_nothing_used_costs_nothing(ledger: Ledger) -> None:
    summary = ledger.summary("default")
    assert (summary.lines, summary.total, summary.cost) == ((), Use(), Decimal(0))


events = st.builds(
    UsageEvent,
    st.integers(0, 2**63 - 1),
    st.just("default"),
    st.sampled_from(["k1", "k2"]),
    st.sampled_from(["digits", "iris"]),
    st.integers(1, 3),
    *[st.sampled_from(["oip", "plain"])] * 2,
    *[st.integers(0, 10**15)] * 6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(events, min_size=1, max_size=20))
def test_whatever_the_grouping_the_parts_add_up_to_the_same_total(
    ledger: Ledger, found: list[UsageEvent]
) -> None:
    ledger.ingest("n", Shipment.of("j", ledger.count(), found))
    summaries = [ledger.summary("default", by) for by in Grouping]
    assert {summary.total.requests for summary in summaries} == {ledger.count()}
    for summary in summaries:
        assert sum(Fraction(line.cost) for line in summary.lines) == Fraction(summary.cost)
        assert summary.cost == cost(summary.plan, summary.total) == summaries[0].cost


START_NS = int(MIDNIGHT.timestamp()) * 10**9


def at(minute: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=minute)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.lists(st.integers(-10, 300), min_size=1, max_size=30),
    bounds=st.lists(st.none() | st.integers(-20, 310), min_size=2, max_size=2),
    by=st.sampled_from(Grouping),
    cut=st.integers(1, 7),
)
def test_any_period_has_exactly_the_events_in_it_wherever_it_cuts_an_hour(
    ledger: Ledger, minutes: list[int], bounds: list[int | None], by: Grouping, cut: int
) -> None:
    project = f"project-{ledger.count()}"
    events = [
        event(
            minute / 60,
            project=project if place % 3 else "other",
            model=f"m{minute % 4}",
            version=minute % 3 + 1,
        )
        for place, minute in enumerate(minutes)
    ]
    for first in range(0, len(events), cut):
        ledger.ingest("n", Shipment.of(f"j-{project}", first, events[first : first + cut]))
    since, until = bounds
    inside = [
        minute
        for place, minute in enumerate(minutes)
        if place % 3 and (since is None or minute >= since) and (until is None or minute < until)
    ]
    summary = ledger.summary(
        project, by, None if since is None else at(since), None if until is None else at(until)
    )
    assert summary.total.requests == sum(line.use.requests for line in summary.lines) == len(inside)
    assert summary.total.compute_ns == len(inside) * 500_000_000
    if by is Grouping.MODEL:
        assert {line.group: line.use.requests for line in summary.lines} == dict(
            Counter(f"m{minute % 4}" for minute in inside)
        )


@pytest.mark.parametrize("most", [10**15, 2**64 - 1])
def test_nonsense_that_a_node_counts_fills_a_total_and_holds_up_nobody(ledger: Ledger, most: int) -> None:
    huge = UsageEvent(START_NS, "odd", "k", "m", 1, "oip", "infer", most, most, most, 0, most, 0)
    for first in range(0, 40_000, 10_000):
        assert ledger.ingest("n", Shipment.of("j", first, [huge] * 10_000)) == first + 10_000
    total = ledger.summary("odd").total
    assert total.requests == 40_000
    assert total.rows == 2**63 - 1
    assert ledger.ingest("n", Shipment.of("j", 40_000, [event()])) == 40_001
    assert ledger.summary("default").total.requests == 1
