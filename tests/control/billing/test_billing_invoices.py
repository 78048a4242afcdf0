"""Invoices: every event in one of them, to the cent; numbered without gaps; closed is closed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from forebay.control.billing import (
    Invoice,
    Invoices,
    Kind,
    Ledger,
    Plan,
    PlanBook,
    Price,
    Tax,
    Tier,
    Unit,
    invoice_csv,
    invoice_pdf,
)
from forebay.control.store import Database
from forebay.core import Shipment, UsageEvent
from forebay.core.errors import Conflict, Malformed, NotFound

NOVEMBER = datetime(2025, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MONTHS = [*(f"2025-{month:02}" for month in range(8, 13)), *(f"2026-{month:02}" for month in range(1, 6))]


def event(moment: datetime, project: str = "default", key: str = "k1", rows: int = 1) -> UsageEvent:
    time_ns = int(moment.timestamp() * 1_000_000) * 1000
    return UsageEvent(time_ns, project, key, "digits", 1, "oip", "infer", rows, 100, 50, 0, 1_000_000, 0)


def priced(price: str = "0.01", **terms: object) -> Plan:
    found = {"prices": (Price(Unit.REQUEST, (Tier(Decimal(price)),)),), "currency": "EUR", **terms}
    return Plan("team", **found)  # type: ignore[arg-type]  # a test's own mix of terms


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def invoices(database: Database) -> Invoices:
    book = PlanBook(database)
    book.create(priced(), "k")
    book.use("default", "team", "k", datetime(2025, 1, 1, tzinfo=UTC))
    return Invoices(database, sender="Models Ltd\nHarbour 1")


def ship(ledger: Ledger, *events: UsageEvent) -> None:
    ledger.ingest("n", Shipment.of(f"j{ledger.count()}", 0, events))


def told(found: list[Invoice]) -> list[str]:
    return [
        f"{one.number} {one.month} {line.kind} {line.month} {line.cost}"
        for one in found
        for line in one.lines
    ]


def test_a_month_is_closed_once_and_what_comes_later_is_a_line_of_the_next(
    ledger: Ledger, invoices: Invoices
) -> None:
    ship(ledger, event(NOVEMBER), event(NOVEMBER))
    assert told(invoices.issue("default", "2025-11", "k")) == ["1 2025-11 usage 2025-11 0.02"]
    with pytest.raises(Conflict, match="is closed"):
        invoices.issue("default", "2025-11", "k")
    ship(ledger, event(NOVEMBER + DAY), event(NOVEMBER + 31 * DAY))
    assert told(invoices.issue("default", "2025-12", "k")) == [
        "2 2025-12 late 2025-11 0.01",
        "2 2025-12 usage 2025-12 0.01",
    ]
    assert invoices.issue("default", "2026-01", "k") == []
    assert invoices.get("default", 1).net == Decimal("0.02")


def test_a_closed_months_terms_stay_as_they_were(
    database: Database, ledger: Ledger, invoices: Invoices
) -> None:
    ship(ledger, event(NOVEMBER))
    invoices.issue("default", "2025-11", "k")
    for change in (
        lambda: PlanBook(database).use("default", "default", "k", NOVEMBER + DAY),
        lambda: PlanBook(database).create(priced("9"), "k", NOVEMBER + DAY),
    ):
        with pytest.raises(Conflict, match="is closed by the invoice 1"):
            change()


def test_an_invoice_is_taken_back_and_its_usage_invoiced_again(
    database: Database, ledger: Ledger, invoices: Invoices
) -> None:
    ship(ledger, *[event(NOVEMBER)] * 4)
    invoices.credit("default", "EUR", Decimal("0.01"), "for the outage", "k")
    [first] = invoices.issue("default", "2025-11", "k")
    assert (first.net, invoices.credits("default")) == (Decimal("0.03"), {"EUR": Decimal("0.00")})
    counter = invoices.counter("default", 1, "the wrong plan held", "k")
    assert (counter.number, counter.counters, counter.net) == (2, 1, Decimal("-0.03"))
    assert invoices.get("default", 1).countered_by == 2
    assert invoices.credits("default") == {"EUR": Decimal("0.01")}
    with pytest.raises(Conflict, match="taken back"):
        invoices.counter("default", 1, "again", "k")
    PlanBook(database).create(priced("0.05"), "k", NOVEMBER)
    assert told(invoices.issue("default", "2025-11", "k")) == [
        "3 2025-11 usage 2025-11 0.2",
        "3 2025-11 credit 2025-11 -0.01",
    ]


def test_a_month_that_has_not_ended_stays_open(invoices: Invoices) -> None:
    with pytest.raises(Conflict, match="ends at"):
        invoices.issue("default", f"{datetime.now(UTC):%Y-%m}", "k")
    with pytest.raises(NotFound, match="no invoice 7"):
        invoices.get("default", 7)
    with pytest.raises(Malformed, match="above zero"):
        invoices.credit("default", "EUR", Decimal(0), "why", "k")


def test_what_is_due_is_invoiced_by_itself_and_only_once(ledger: Ledger, invoices: Invoices) -> None:
    ship(ledger, event(NOVEMBER), event(NOVEMBER, "lab"), event(NOVEMBER - DAY), event(NOVEMBER - 60 * DAY))
    now = NOVEMBER + 33 * DAY
    assert sorted((one.project, one.month) for one in invoices.issue_due(now)) == [
        ("default", "2025-10"),
        ("default", "2025-11"),
        ("lab", "2025-11"),
    ]
    assert invoices.issue_due(now) == []


def test_numbers_have_no_gaps_whoever_writes_at_once(ledger: Ledger, invoices: Invoices) -> None:
    projects = [f"p{number}" for number in range(8)]
    ship(ledger, *(event(NOVEMBER, project) for project in projects))

    def close(project: str) -> int:
        try:
            return len(invoices.issue(project, "2025-11", "k"))
        except Conflict:
            return 0

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(close, projects * 2)) == 8
    assert sorted(one.number for project in projects for one in invoices.all(project)) == list(range(1, 9))


def test_an_invoice_is_never_changed(database: Database, ledger: Ledger, invoices: Invoices) -> None:
    ship(ledger, event(NOVEMBER))
    invoices.issue("default", "2025-11", "k")
    for table in ("invoices", "invoiced_usage"):
        with pytest.raises(DatabaseError, match="only appended to"), database.write() as session:
            session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 (two names of ours)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    waves=st.lists(
        st.tuples(st.lists(st.integers(-1500, 3500), max_size=8), st.sampled_from([*MONTHS[:5], "back"])),
        min_size=1,
        max_size=5,
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
)
def test_events_ledger_and_invoices_come_to_the_same_to_the_cent(
    database: Database, waves: list[tuple[list[int], str]], zone: str
) -> None:
    ledger, book, invoices = Ledger(database, zone), PlanBook(database), Invoices(database, zone)
    project = f"project-{ledger.count()}-{len(book.plans())}"
    if len(book.plans()) == 1:
        book.create(priced("0.003"), "k")
    book.use(project, "team", "k", NOVEMBER + 10 * DAY)
    used: list[int] = []
    for hours, deed in [*waves, *(([], month) for month in MONTHS)]:
        if hours:
            ship(ledger, *(event(NOVEMBER + timedelta(hours=hour), project) for hour in hours))
        used += hours
        with suppress(Conflict):  # closed already
            if deed == "back":
                take_one_back(invoices, project)
            else:
                invoices.issue(project, deed, "k")
    lines = [line for one in invoices.all(project) for line in one.lines]
    assert sum(line.quantity for line in lines if line.unit == Unit.REQUEST) == len(used)
    assert sum(Fraction(line.cost) for line in lines) == Fraction(ledger.summary(project).cost)


def take_one_back(invoices: Invoices, project: str) -> None:
    for one in invoices.all(project):
        if one.counters is None and one.countered_by is None:
            invoices.counter(project, one.number, "why not", "k")
            return


@pytest.fixture
def sent(database: Database, ledger: Ledger, invoices: Invoices) -> Invoice:
    taxes = (Tax("VAT", Decimal("0.19")),)
    terms = {"fee": Decimal("9.00"), "discount": Decimal("0.1"), "taxes": taxes}
    PlanBook(database).create(priced("0.25", included={Unit.REQUEST: Decimal(2)}, **terms), "k", NOVEMBER)
    ship(ledger, *[event(NOVEMBER)] * 9, *[event(NOVEMBER, key="k2")] * 3)
    invoices.address("default", "Ada & Söhne\nMill Lane 2", "k")
    [found] = invoices.issue("default", "2025-11", "k")
    return found


def test_an_invoice_as_a_table_adds_up(sent: Invoice) -> None:
    head, *rows = [line.split(",") for line in invoice_csv(sent).split("\r\n")[:-1]]
    costs = [Decimal(row[11]) for row in rows if row[2] in {"usage", "fee", "discount"}]
    assert head[2:5] == ["kind", "month", "plan"]
    assert sum(costs) == sent.net == Decimal("11.25")
    assert rows[-1][2] == "total"
    assert Decimal(rows[-1][11]) == sent.total == Decimal("13.39")


def test_an_invoice_as_a_page_says_who_what_and_how_much(sent: Invoice) -> None:
    pdfium = pytest.importorskip("pypdfium2")
    document = pdfium.PdfDocument(invoice_pdf(sent))
    page = document[0].get_textpage()
    said = page.get_text_bounded()
    wanted = ("Invoice 1", "Models Ltd", "Ada & Söhne", "VAT 19 %", "13.39 EUR", "Subscription", "included")
    for words in wanted:
        assert words in said
    page.close()
    document.close()


def test_a_letter_that_the_page_has_not_is_named(sent: Invoice, invoices: Invoices, ledger: Ledger) -> None:
    invoices.address("default", "Łódź", "k")
    ship(ledger, event(NOVEMBER + 32 * DAY))
    [found] = invoices.issue("default", "2025-12", "k")
    with pytest.raises(Malformed, match="'Ł'"):
        invoice_pdf(found)


def test_a_discount_is_a_line_of_its_own(sent: Invoice) -> None:
    assert [line.kind for line in sent.lines if not line.unit] == [Kind.DISCOUNT, Kind.FEE]
