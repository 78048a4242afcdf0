"""Whoever changes the ledger behind its back is found."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from forebay.control.billing import Ledger
from forebay.control.billing.tables import BlockRow, GapRow, JournalRow, LedgerRow, TotalRow
from forebay.control.store import Database
from forebay.core import Shipment, UsageEvent

NOON = 1_750_000_000 * 10**9


def event(number: int, project: str = "default") -> UsageEvent:
    return UsageEvent(
        NOON + number * 10**12,
        project,
        "k",
        "m",
        1,
        "oip",
        "infer",
        number + 1,
        10,
        20,
        1,
        2,
        3,
        f"r{number}",
    )


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """Three blocks of two journals, with a gap."""
    ledger = Ledger(database)
    ledger.ingest("n", Shipment.of("a", 0, [event(0), event(1, "lab"), event(2)]))
    ledger.ingest("n", Shipment.of("b", 5, [event(3)]))
    ledger.ingest("n", Shipment.of("a", 2, [event(2), event(4), event(5)]))
    return ledger


def test_a_ledger_that_nobody_touched_is_what_the_nodes_wrote(ledger: Ledger) -> None:
    found = ledger.verify()
    assert (found.blocks, found.events, found.faults) == (3, 6, ())
    assert ledger.ingest("n", Shipment.of("b", 3, [event(6)])) == 6
    assert ledger.verify().faults == ()


def test_an_empty_ledger_is_sound(database: Database) -> None:
    assert Ledger(database).verify().faults == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (update(BlockRow).where(BlockRow.number == 4).values(journal="c"), "block 4 .* seal"),
        (update(BlockRow).where(BlockRow.number == 4).values(first_seq=4), "block 4 .* seal"),
        (update(BlockRow).where(BlockRow.number == 5).values(events=1), "block 5 .* seal"),
        (delete(BlockRow).where(BlockRow.number == 4), "block 5 stands where 4 is due"),
        (delete(BlockRow).where(BlockRow.number == 5), "the last blocks are missing"),
        (update(LedgerRow).values(events=5), "the last blocks are missing"),
        (update(TotalRow).where(TotalRow.rows == 2).values(rows=1), "totals of the project lab"),
        (
            update(TotalRow).where(TotalRow.project == "default").values(key_id="x"),
            "totals of the project default",
        ),
        (delete(TotalRow).where(TotalRow.project == "lab"), "totals of the project lab"),
        (
            insert(TotalRow).values(
                project="nobody",
                hour=1,
                key_id="k",
                model="m",
                version=1,
                protocol="oip",
                operation="infer",
                device="",
                requests=1,
                rows=1,
                request_bytes=0,
                response_bytes=0,
                compute_ns=0,
                cached=0,
                cached_rows=0,
                input_tokens=0,
                output_tokens=0,
                audio_ms=0,
                energy_uj=0,
            ),
            "totals of the project nobody",
        ),
        (update(JournalRow).where(JournalRow.name == "b").values(next_seq=7), "of journal b, 2 events"),
        (delete(GapRow), "of journal b, 6 events were taken over, 1 are there"),
    ],
)
def test_whoever_changes_a_row_is_found(database: Database, ledger: Ledger, change: Any, said: str) -> None:
    with database.write() as session:
        session.execute(change)
    faults = ledger.verify().faults
    assert faults
    assert any(re.search(said, fault) for fault in faults), faults


def test_a_byte_flipped_anywhere_in_a_block_is_found(database: Database, ledger: Ledger) -> None:
    with database.read() as session:
        payload = session.scalars(select(BlockRow.payload).where(BlockRow.number == 1)).one()
    for at in range(0, len(payload), 3):
        flipped = bytearray(payload)
        flipped[at] ^= 1
        with database.write() as session:
            session.execute(update(BlockRow).where(BlockRow.number == 1).values(payload=bytes(flipped)))
        assert "block 1 (journal a) does not fit its seal" in ledger.verify().faults[0]


def test_of_a_ledger_in_ruins_only_the_first_hundred_faults_are_told(
    database: Database, ledger: Ledger
) -> None:
    for first in range(200):
        ledger.ingest("n", Shipment.of("c", first, [event(first)]))
    with database.write() as session:
        session.execute(update(BlockRow).values(payload=b"nothing"))
    faults = ledger.verify().faults
    assert len(faults) == 100
    assert "is damaged" in faults[1]
