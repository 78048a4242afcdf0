"""The ledger: every event once, whatever is shipped twice, late, in pieces or by two at a time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from forebay.control.billing import Ledger
from forebay.control.billing.blocks import Entry
from forebay.control.billing.tables import PlaceRow
from forebay.control.billing.tally import NS_PER_HOUR
from forebay.control.store import Database
from forebay.core import Shipment, UsageEvent
from forebay.core.errors import Malformed

NOON = 1_750_000_000 * 10**9


def event(request_id: str = "", **changes: object) -> UsageEvent:
    fields: dict[str, object] = {
        "time_ns": NOON,
        "project": "default",
        "key_id": "0a1b2c3d",
        "model": "digits",
        "version": 1,
        "protocol": "oip",
        "operation": "infer",
        "rows": 1,
        "request_bytes": 100,
        "response_bytes": 50,
        "queue_ns": 1_000,
        "compute_ns": 20_000,
        "wall_ns": 30_000,
        "request_id": request_id,
    }
    return UsageEvent(**{**fields, **changes})  # type: ignore[arg-type]  # a test's own mix of fields


def run(first: int, end: int, journal: str = "j") -> Shipment:
    return Shipment.of(journal, first, [event(f"{journal}-{seq}") for seq in range(first, end)])


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


def every(ledger: Ledger) -> list[Entry]:
    """All events, page by page: a page ends early where blocks are small."""
    found: list[Entry] = []
    while page := ledger.events("default", after=found[-1].number if found else 0):
        found += page
    return found


def held(ledger: Ledger) -> list[str]:
    return [entry.event.request_id for entry in ledger.events("default")]


def test_events_are_kept_as_they_were_counted(ledger: Ledger) -> None:
    assert ledger.ingest("node-1", Shipment.of("j", 0, [event("a", rows=7, version=3)])) == 1
    [entry] = ledger.events("default")
    assert (entry.journal, entry.seq, entry.number) == ("j", 0, 1)
    assert entry.event == event("a", rows=7, version=3)


def test_a_shipment_that_arrives_twice_counts_once(ledger: Ledger) -> None:
    assert ledger.ingest("n", run(0, 5)) == 5
    assert ledger.ingest("n", run(0, 5)) == 5
    assert ledger.ingest("n", run(3, 8)) == 8
    assert ledger.ingest("n", run(2, 4)) == 8
    assert held(ledger) == [f"j-{seq}" for seq in range(8)]
    assert ledger.count() == 8
    assert ledger.gaps() == []


def test_an_empty_shipment_asks_what_is_expected(ledger: Ledger) -> None:
    assert ledger.ingest("n", Shipment.of("j", 0, [])) == 0
    ledger.ingest("n", run(0, 3))
    assert ledger.ingest("n", Shipment.of("j", 9, [])) == 3
    assert ledger.gaps() == []


def test_journals_do_not_mix(ledger: Ledger) -> None:
    ledger.ingest("n", run(0, 2, "a"))
    ledger.ingest("m", run(0, 2, "b"))
    assert held(ledger) == ["a-0", "a-1", "b-0", "b-1"]


def test_what_a_node_has_lost_is_seen_and_the_rest_is_taken(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.ingest("n", run(0, 2))
    assert ledger.ingest("n", run(5, 7)) == 7
    [gap] = ledger.gaps()
    assert (gap.journal, gap.node, gap.first_seq, gap.missing) == ("j", "n", 2, 3)
    assert "3 events from 2 on are missing" in caplog.text
    assert held(ledger) == ["j-0", "j-1", "j-5", "j-6"]


def test_a_gap_closes_when_its_events_arrive_after_all(ledger: Ledger) -> None:
    ledger.ingest("n", run(6, 8))
    ledger.ingest("n", run(2, 4))
    assert [(gap.first_seq, gap.missing) for gap in ledger.gaps()] == [(0, 2), (4, 2)]
    assert ledger.ingest("n", run(0, 8)) == 8
    assert ledger.gaps() == []
    assert sorted(held(ledger)) == [f"j-{seq}" for seq in range(8)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_overlap_order_and_repetition_of_shipments_leaves_each_event_once(
    ledger: Ledger, data: st.DataObject
) -> None:
    journal = f"journal-{ledger.count()}-{time.monotonic_ns()}"
    last = data.draw(st.integers(1, 30), label="events")
    pieces = st.tuples(st.integers(0, last - 1), st.integers(1, last)).map(
        lambda p: (p[0], min(sum(p), last))
    )
    drawn = data.draw(st.lists(pieces, max_size=8), label="shipments")
    cuts = [(seq, min(seq + 7, last)) for seq in range(0, last, 7)]
    for first, end in data.draw(st.permutations(drawn + cuts), label="order"):
        ledger.ingest("n", run(first, end, journal))
    there = every(ledger)
    mine = [row.seq for row in there if row.journal == journal]
    assert sorted(mine) == list(range(last))
    assert ledger.ingest("n", Shipment.of(journal, 0, [])) == last
    assert ledger.gaps() == []
    assert len(there) == ledger.count()


def test_many_small_blocks_are_read_to_the_last(ledger: Ledger) -> None:
    for seq in range(200):
        ledger.ingest("n", run(seq, seq + 1))
    assert len(ledger.events("default")) < 200, "one page has all of them, and the next is not asked for"
    assert [row.seq for row in every(ledger)] == list(range(200))


def test_two_shipments_of_one_journal_at_once_count_once(ledger: Ledger) -> None:
    shipments = [run(first, first + 40) for first in range(0, 200, 20)] * 2
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda shipment: ledger.ingest("n", shipment), shipments))
    assert sorted(row.seq for row in ledger.events("default")) == list(range(220))
    assert ledger.gaps() == []


def test_numbers_have_no_holes_when_many_nodes_ship_at_once(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: ledger.ingest("n", run(0, 25, f"j{name}")), range(8)))
    assert [row.number for row in ledger.events("default")] == list(range(1, 201))


def test_pages_follow_each_other_without_loss(ledger: Ledger) -> None:
    ledger.ingest("n", run(0, 25))
    ledger.ingest("n", Shipment.of("other", 0, [event(project="lab")]))
    seen: list[int] = []
    while page := ledger.events("default", after=seen[-1] if seen else 0, limit=10):
        seen += [row.number for row in page]
    assert seen == list(range(1, 26))


@pytest.mark.parametrize(
    "odd",
    [
        event(project="nobody", key_id="ffffffff", model="unheard-of"),
        event("a\0b", model="\0"),
        event("\N{SNOWMAN}" * 100_000, project="p" * 100_000, model="m" * 100_000),
        event(time_ns=-1, rows=-5, compute_ns=-1, version=-1),
        event(time_ns=2**64 - 1, rows=2**64 - 1, compute_ns=2**64 - 1, version=2**64 - 1),
    ],
    ids=["unknown names", "NUL", "long", "negative", "huge"],
)
def test_an_odd_event_does_not_hold_up_the_others(ledger: Ledger, odd: UsageEvent) -> None:
    assert ledger.ingest("n", Shipment.of("j", 0, [event("a"), odd, odd, odd, event("b")])) == 5
    assert ledger.count() == 5
    assert {"a", "b"} <= set(held(ledger))
    ledger.summary("default")


@pytest.mark.parametrize("shipment", [run(0, 1, ""), run(0, 1, "j" * 201), run(2**62, 2**62 + 1)])
def test_a_shipment_that_cannot_be_is_refused(ledger: Ledger, shipment: Shipment) -> None:
    with pytest.raises(Malformed):
        ledger.ingest("n", shipment)
    assert ledger.count() == 0


def test_a_shipment_that_is_damaged_or_out_of_order_is_refused_as_a_whole(ledger: Ledger) -> None:
    frames = run(0, 3).frames
    for at in range(len(frames)):
        flipped = bytearray(frames)
        flipped[at] ^= 1
        with pytest.raises(Malformed):
            ledger.ingest("n", Shipment("j", bytes(flipped)))
    for odd in (frames[:-1], frames + run(4, 5).frames, frames + frames, b"\0"):
        with pytest.raises(Malformed):
            ledger.ingest("n", Shipment("j", odd))
    assert ledger.count() == 0
    assert ledger.ingest("n", Shipment("j", frames + run(3, 5).frames)) == 5


def test_events_of_a_newer_release_are_refused_and_so_stay_with_their_node(ledger: Ledger) -> None:
    strange: list[Any] = [event(), {"shape": "unknown"}]
    with pytest.raises(Malformed, match="is their node newer"):
        ledger.ingest("n", Shipment.of("j", 0, strange))
    assert ledger.ingest("n", Shipment.of("j", 0, [])) == 0


def test_fields_that_a_newer_release_has_added_are_kept_though_nobody_here_reads_them(
    ledger: Ledger,
) -> None:
    longer: list[Any] = [[*msgspec.structs.astuple(event("a")), "something new"]]
    assert ledger.ingest("n", Shipment.of("j", 0, longer)) == 1
    assert held(ledger) == ["a"]


def test_a_shipment_that_fails_leaves_nothing_and_can_be_sent_again(
    database: Database, ledger: Ledger
) -> None:
    with database.write() as session:  # somebody sits on the place of the first event
        session.execute(insert(PlaceRow), {"project": "default", "block": 1, "hour": NOON // NS_PER_HOUR})
    with pytest.raises(IntegrityError):
        ledger.ingest("n", run(0, 5))
    with database.write() as session:
        session.execute(delete(PlaceRow))
    assert held(ledger) == []
    assert ledger.ingest("n", run(0, 5)) == 5
    assert held(ledger) == [f"j-{seq}" for seq in range(5)]


def test_two_thousand_events_are_taken_over_at_once(ledger: Ledger) -> None:
    assert ledger.ingest("n", Shipment.of("a", 0, [event()] * 2_000)) == 2_000
    assert ledger.count() == 2_000
