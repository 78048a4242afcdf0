"""The ledger: every usage event of every journal, once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from forebay.control.billing.arrivals import Arrival, Run, arrive
from forebay.control.billing.bills import Bill, bills
from forebay.control.billing.blocks import Block, Entry, entries, pieces_of
from forebay.control.billing.charging import parts_of
from forebay.control.billing.months import Month, zone_of
from forebay.control.billing.planbook import PlanVersion, Terms
from forebay.control.billing.storing import keep
from forebay.control.billing.summary import Grouping, Summary, summarise
from forebay.control.billing.tables import BlockRow, GapRow, JournalRow, LedgerRow, PlaceRow
from forebay.control.billing.verify import Verified, verify
from forebay.control.store import Database
from forebay.core import Shipment
from forebay.core.errors import Malformed

_log = logging.getLogger("forebay.billing")
_LAST_SEQ = 2**62
_NAME_CHARS = 200
_EVENTS_PER_PAGE = 1000
_BLOCKS_PER_PAGE = 64


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a journal that its node could not deliver: `missing` of them, from `first_seq` on."""

    journal: str
    node: str
    first_seq: int
    missing: int
    noticed_at: datetime


class Ledger:
    """All usage events of one database."""

    def __init__(self, database: Database, zone: str = "UTC") -> None:
        """The months of bills are those of *zone*; raises `Malformed` if there is none of that name."""
        self._database = database
        self.zone = zone_of(zone)

    def ingest(self, node: str, shipment: Shipment) -> int:
        """Take over what is new in *shipment*, and say which sequence number is expected next.

        Events that are there already are skipped. Events that were left out become a gap, which anybody
        can see (`gaps`) and which closes if they arrive after all. Returns after the commit, so the node
        may forget everything before the answer. Raises `Malformed` for a journal without a name, for
        impossible sequence numbers, and for frames that are damaged or do not follow each other.
        """
        _check_name(shipment.journal)
        pieces = pieces_of(shipment)  # the work is done before anybody has to wait for the lock
        if not pieces:
            return self._next_seq(shipment.journal)
        first, end = pieces[0][0].first_seq, pieces[-1][0].end_seq
        if end > _LAST_SEQ:
            raise Malformed(f"{first} is no sequence number; a journal counts from 0 to {_LAST_SEQ}")
        whole = Block.of(pieces, first, end)
        with self._database.write() as session:
            ledger = session.get_one(LedgerRow, 1, with_for_update=True)  # shipments queue here
            journal = session.get(JournalRow, shipment.journal)
            if journal is None:
                journal = JournalRow(name=shipment.journal, next_seq=0)
            gaps = _gaps(session, shipment.journal)
            arrival = arrive(first, end, journal.next_seq, gaps)
            now = datetime.now(UTC)
            for run in arrival.new:
                block = whole if run == (first, end) else Block.of(pieces, *run)
                keep(session, ledger, shipment.journal, block, now)
            _keep_gaps(session, shipment.journal, gaps, arrival, now)
            journal.node, journal.next_seq, journal.updated_at = node, arrival.next_seq, now
            session.add(journal)
        return arrival.next_seq

    def _next_seq(self, journal: str) -> int:
        with self._database.read() as session:
            known = session.get(JournalRow, journal)
            return known.next_seq if known is not None else 0

    def count(self) -> int:
        """How many events there are."""
        with self._database.read() as session:
            return session.get_one(LedgerRow, 1).events

    def events(self, project: str, after: int = 0, limit: int = _EVENTS_PER_PAGE) -> list[Entry]:
        """Events of *project* behind number *after*, in the order in which they arrived.

        At most *limit* of them, and fewer where they lie far apart; none only where there are no more.
        Numbers are given under one lock, so whoever goes on behind the last number they saw misses none.
        """
        found: list[Entry] = []
        with self._database.read() as session:
            for number in _blocks_of(session, project, after):
                block = session.get_one(BlockRow, number)
                found += [entry for entry in entries(block, project) if entry.number > after]
                if len(found) >= limit:
                    break
        return found[:limit]

    def summary(
        self,
        project: str,
        by: Grouping = Grouping.MODEL,
        since: datetime | None = None,
        until: datetime | None = None,
        instead: PlanVersion | None = None,
    ) -> Summary:
        """What *project* used from *since* up to before *until* (naive ones are UTC), and what it costs.

        With *instead*, what it would have cost if that plan had held.
        """
        with self._database.read() as session:
            terms = Terms(session, project, instead)
            return summarise(session, terms, self.zone, project, by, since, until)

    def bills(self, project: str, month: str, instead: PlanVersion | None = None) -> list[Bill]:
        """What *month* (as `2026-11`) comes to so far, or would have under the plan *instead*.

        Without credits, and without what arrived too late for an earlier month.
        """
        found = Month.named(month, self.zone)
        with self._database.read() as session:
            return bills(parts_of(session, Terms(session, project, instead), project, found, afresh=True))

    def verify(self) -> Verified:
        """Read all of it, a block at a time, and say what is not as its node wrote it."""
        with self._database.read() as session:
            return verify(session)

    def gaps(self) -> list[Gap]:
        """What never arrived, by journal."""
        found = (
            select(GapRow, JournalRow.node)
            .join(JournalRow, JournalRow.name == GapRow.journal)
            .order_by(GapRow.journal, GapRow.first_seq)
        )
        with self._database.read() as session:
            return [
                Gap(gap.journal, node, gap.first_seq, gap.end_seq - gap.first_seq, gap.noticed_at)
                for gap, node in session.execute(found)
            ]


def _check_name(journal: str) -> None:
    if not 0 < len(journal) <= _NAME_CHARS or not journal.isprintable():
        raise Malformed(f"a journal's name has 1 to {_NAME_CHARS} printable characters")


def _blocks_of(session: Session, project: str, after: int) -> Sequence[int]:
    """The numbers of the next blocks that may have events of *project* behind number *after*."""
    within = PlaceRow.project == project
    start = session.scalar(select(func.max(PlaceRow.block)).where(within, PlaceRow.block <= after + 1))
    found = select(PlaceRow.block).distinct().where(within, PlaceRow.block >= (start or 0))
    return session.scalars(found.order_by(PlaceRow.block).limit(_BLOCKS_PER_PAGE)).all()


def _gaps(session: Session, journal: str) -> list[Run]:
    found = (
        select(GapRow.first_seq, GapRow.end_seq).where(GapRow.journal == journal).order_by(GapRow.first_seq)
    )
    return [(first, end) for first, end in session.execute(found)]


def _keep_gaps(session: Session, journal: str, before: list[Run], arrival: Arrival, now: datetime) -> None:
    for first, _end in set(before) - set(arrival.gaps):
        session.execute(delete(GapRow).where(GapRow.journal == journal, GapRow.first_seq == first))
    for first, end in set(arrival.gaps) - set(before):
        _log.warning("journal %s: %d events from %d on are missing", journal, end - first, first)
        session.add(GapRow(journal=journal, first_seq=first, end_seq=end, noticed_at=now))
