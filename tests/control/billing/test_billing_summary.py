"""Usage by model, key, version and day, and what it costs."""

from __future__ import annotations

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
    ledger.ingest("n", Shipment("j", 0, events))
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


def test_the_default_plan_is_there_from_the_start(ledger: Ledger) -> None:
    assert ledger.plans() == [DEFAULT_PLAN]


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
    ledger.ingest("n", Shipment("j", ledger.count(), tuple(found)))
    summaries = [ledger.summary("default", by) for by in Grouping]
    assert {summary.total.requests for summary in summaries} == {ledger.count()}
    for summary in summaries:
        assert sum(Fraction(line.cost) for line in summary.lines) == Fraction(summary.cost)
        assert summary.cost == cost(summary.plan, summary.total) == summaries[0].cost
