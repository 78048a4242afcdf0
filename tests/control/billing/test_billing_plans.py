"""Plans: versions, from when on they hold, for whom; and what a month comes to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from forebay.control.access import Audit
from forebay.control.billing import Kind, Ledger, Plan, PlanBook, Price, Tax, Tier, Unit
from forebay.control.billing.plans import checked
from forebay.control.store import Database
from forebay.core import Shipment, UsageEvent
from forebay.core.errors import Conflict, Malformed, NotFound

NOVEMBER = datetime(2025, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def event(moment: datetime, project: str = "default", model: str = "digits", rows: int = 1) -> UsageEvent:
    time_ns = int(moment.timestamp() * 1_000_000) * 1000
    return UsageEvent(time_ns, project, "k1", model, 1, "oip", "infer", rows, 100, 50, 0, 1_000_000, 0)


def plan(name: str = "team", price: str = "0.01", **terms: object) -> Plan:
    found = {"prices": (Price(Unit.REQUEST, (Tier(Decimal(price)),)),), "currency": "EUR", **terms}
    return checked(Plan(name, **found))  # type: ignore[arg-type]  # a test's own mix of terms


@pytest.fixture
def book(database: Database) -> PlanBook:
    return PlanBook(database)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


def ship(ledger: Ledger, *events: UsageEvent) -> None:
    ledger.ingest("n", Shipment.of(f"j{ledger.count()}", 0, events))


def costs(ledger: Ledger, book: PlanBook | None = None) -> list[str]:
    """The lines of November; of what it would have been under the plan `team`, if there is a *book*."""
    [bill] = ledger.bills("default", "2025-11", book.plan("team") if book is not None else None)
    return [f"{line.kind} {line.plan} {line.cost}" for line in bill.lines]


def test_a_version_holds_from_its_day_on_and_what_was_before_stays(book: PlanBook, ledger: Ledger) -> None:
    book.create(plan(), "k")
    book.use("default", "team", "k", NOVEMBER)
    book.create(plan(price="0.02"), "k", NOVEMBER + 10 * DAY)
    ship(ledger, event(NOVEMBER + DAY), event(NOVEMBER + 11 * DAY), event(NOVEMBER + 10 * DAY))
    assert costs(ledger) == ["usage team:1 0.01", "usage team:2 0.04"]
    assert ledger.summary("default").cost == Decimal("0.05")


def test_a_plan_changes_in_the_middle_of_a_month_with_its_fee_in_proportion(
    book: PlanBook, ledger: Ledger
) -> None:
    book.create(plan(fee=Decimal("30.00"), included={Unit.REQUEST: Decimal(30)}), "k")
    book.create(plan("large", "0.001", fee=Decimal("60.00")), "k")
    book.use("default", "team", "k", NOVEMBER)
    book.use("default", "large", "k", NOVEMBER + 10 * DAY)
    ship(ledger, *[event(NOVEMBER + DAY)] * 12, *[event(NOVEMBER + 20 * DAY)] * 5)
    assert costs(ledger) == [
        "usage team:1 0",  # ten of the thirty that a whole month includes
        "usage team:1 0.02",
        "fee team:1 10.00",
        "usage large:1 0.005",
        "fee large:1 40.00",
    ]


def test_a_month_begins_at_midnight_of_the_billing_zone(database: Database, book: PlanBook) -> None:
    ship(Ledger(database), event(NOVEMBER - timedelta(minutes=31)), event(NOVEMBER - timedelta(minutes=29)))
    book.create(plan(), "k")
    book.use("default", "team", "k", datetime(2025, 1, 1, tzinfo=UTC))
    for zone, in_november in [("UTC", 0), ("Europe/Berlin", 2), ("America/New_York", 0)]:
        october, november = (Ledger(database, zone).bills("default", f"2025-{month}") for month in (10, 11))
        assert sum(line.quantity for bill in october for line in bill.lines) == 2 - in_november
        assert sum(line.quantity for bill in november for line in bill.lines) == in_november


def test_a_month_of_a_zone_with_half_hours_cuts_the_hour(database: Database) -> None:
    kolkata = Ledger(database, "Asia/Kolkata")  # +05:30: its November begins at 18:30
    border = datetime(2025, 10, 31, 18, 30, tzinfo=UTC)
    ship(kolkata, event(border - timedelta(seconds=1)), event(border))
    quantities = [
        sum(line.quantity for bill in kolkata.bills("default", month) for line in bill.lines[:1])
        for month in ("2025-10", "2025-11")
    ]
    assert quantities == [1, 1]


def test_a_preview_says_what_a_month_would_have_cost(book: PlanBook, ledger: Ledger) -> None:
    ship(ledger, *[event(NOVEMBER)] * 3)
    book.create(plan(fee=Decimal(5), taxes=(Tax("VAT", Decimal("0.19")),), discount=Decimal("0.1")), "k")
    assert costs(ledger, book) == [
        "usage team:1 0.03",
        "discount team:1 -0.003",
        "fee team:1 5",
    ]
    [bill] = ledger.bills("default", "2025-11", book.plan("team"))
    assert (bill.net, bill.taxes[0].amount, bill.total) == (Decimal("5.03"), Decimal("0.96"), Decimal("5.99"))
    assert [line.plan for line in ledger.bills("default", "2025-11")[0].lines] == ["default:1"] * 3


def test_a_minimum_is_filled_up(book: PlanBook, ledger: Ledger) -> None:
    book.create(plan(minimum=Decimal(2)), "k")
    ship(ledger, event(NOVEMBER))
    assert costs(ledger, book) == ["usage team:1 0.01", "minimum team:1 1.99"]
    [bill] = ledger.bills("default", "2025-12", book.plan("team"))
    assert [(line.kind, line.cost) for line in bill.lines] == [(Kind.MINIMUM, Decimal(2))]


def test_two_currencies_are_two_bills(book: PlanBook, ledger: Ledger) -> None:
    book.create(plan("dollars", currency="USD"), "k")
    book.create(plan(), "k")
    book.use("default", "team", "k", NOVEMBER)
    book.use("default", "dollars", "k", NOVEMBER + 10 * DAY)
    ship(ledger, event(NOVEMBER), event(NOVEMBER + 15 * DAY))
    assert [(bill.currency, bill.lines[0].cost) for bill in ledger.bills("default", "2025-11")] == [
        ("EUR", Decimal("0.01")),
        ("USD", Decimal("0.01")),
    ]
    summary = ledger.summary("default")
    assert (summary.plan.currency, summary.cost) == ("USD", Decimal("0.01"))
    assert [(other.currency, other.cost) for other in summary.others] == [("EUR", Decimal("0.01"))]


def test_usage_of_a_day_is_priced_where_the_month_has_come_to(book: PlanBook, ledger: Ledger) -> None:
    tiers = (Tier(Decimal(1), Decimal(2)), Tier(Decimal("0.1")))
    book.create(plan(prices=(Price(Unit.REQUEST, tiers),)), "k")
    book.use("default", "team", "k", NOVEMBER)
    ship(ledger, event(NOVEMBER), event(NOVEMBER + DAY), event(NOVEMBER + DAY))
    assert ledger.summary("default", since=NOVEMBER + DAY).cost == Decimal("1.1")
    assert ledger.summary("default", until=NOVEMBER + DAY).cost == Decimal(1)


def test_what_cannot_be_is_refused(book: PlanBook) -> None:
    book.create(plan(), "k", NOVEMBER)
    with pytest.raises(Conflict, match="let the next begin then"):
        book.create(plan(), "k", NOVEMBER - DAY)
    with pytest.raises(Conflict, match="use it from then on"):
        book.use("default", "team", "k", NOVEMBER - DAY)
    with pytest.raises(NotFound, match="forebay plans"):
        book.use("default", "teem", "k")
    with pytest.raises(Malformed, match="no month"):
        Ledger(book._database).bills("default", "2025-13")
    with pytest.raises(Malformed, match="no time zone"):
        Ledger(book._database, "Mars/Olympus")


def test_what_was_said_stands_and_who_said_it(database: Database, book: PlanBook) -> None:
    book.create(plan(), "k7")
    book.use("default", "team", "k8")
    deeds = [(entry.action, entry.subject, entry.who) for entry in Audit(database).entries(None)]
    assert deeds[:2] == [("plan.used", "default", "k8"), ("plan.created", "team", "k7")]
    for change in ("UPDATE plans SET terms = '{}'", "DELETE FROM plan_uses"):
        with pytest.raises(DatabaseError, match="only appended to"), database.write() as session:
            session.execute(text(change))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.lists(st.integers(-2000, 90_000), min_size=1, max_size=15),
    changes=st.lists(st.tuples(st.integers(0, 1500), st.sampled_from(["a", "b", "c"])), max_size=4),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]),
)
def test_every_event_is_in_one_bill_whatever_plans_and_zones_do(
    database: Database, minutes: list[int], changes: list[tuple[int, str]], zone: str
) -> None:
    book, ledger = PlanBook(database), Ledger(database, zone)
    project = f"project-{ledger.count()}"
    for name in {"a", "b", "c"} - {said.plan.name for said in book.plans()}:
        book.create(plan(name, {"a": "1", "b": "0.1", "c": "0.01"}[name]), "k")
    for hours, name in changes:
        book.use(project, name, "k", NOVEMBER + timedelta(hours=hours))
    ship(ledger, *(event(NOVEMBER + timedelta(minutes=minute), project) for minute in minutes))
    lines = [
        line
        for month in ("2025-10", "2025-11", "2025-12", "2026-01")
        for bill in ledger.bills(project, month)
        for line in bill.lines
        if line.unit == Unit.REQUEST
    ]
    assert sum(line.quantity for line in lines) == len(minutes)
    billed = sum(Fraction(line.cost) for line in lines)
    assert billed == sum(Fraction(price_at(minute, changes)) for minute in minutes)


def price_at(minute: int, changes: list[tuple[int, str]]) -> str:
    """What one request cost by the minute, found the slow way."""
    held = [(hours, place, name) for place, (hours, name) in enumerate(changes) if hours * 60 <= minute]
    name = max(held)[2] if held else "default"
    return {"a": "1", "b": "0.1", "c": "0.01", "default": "0.0001"}[name]
