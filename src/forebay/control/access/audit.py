"""Reading who did what, and proving it. Every room writes it itself, with `store.record_deed`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from forebay.control.store import BEGINNING, AuditHead, AuditRow, Database, Deed, chained, record_deed
from forebay.core.errors import Malformed

_PAGE = 1000
_MOST_FAULTS = 100


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed: *who* did *action* to *subject* from the address *origin*; *detail* says why."""

    number: int
    time: datetime
    project: str
    who: str
    origin: str
    action: str
    subject: str
    outcome: str
    detail: dict[str, str]
    hash: str


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """How many deeds were read, what is wrong with them, and the end of the chain as `NUMBER:HASH`."""

    deeds: int
    faults: list[str]
    head: str


class Audit:
    """The deeds of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, deed: Deed) -> None:
        """Write down what changed nothing in the database; raises `NotReady`."""
        with self._database.write() as session:
            record_deed(session, deed)

    def entries(self, project: str | None, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """At most *limit* deeds in *project* (None: anywhere), the newest first, from below *before* on."""
        wanted = select(AuditRow).order_by(AuditRow.number.desc()).limit(limit)
        if project is not None:
            wanted = wanted.where(AuditRow.project == project)
        if before is not None:
            wanted = wanted.where(AuditRow.number < before)
        with self._database.read() as session:
            return [_entry(row) for row in session.scalars(wanted)]

    def all(self, project: str | None) -> Iterator[AuditEntry]:
        """Every deed in *project* (None: anywhere), oldest first; read a page at a time."""
        after = 0
        while True:
            wanted = select(AuditRow).where(AuditRow.number > after).order_by(AuditRow.number).limit(_PAGE)
            if project is not None:
                wanted = wanted.where(AuditRow.project == project)
            with self._database.read() as session:
                page = [_entry(row) for row in session.scalars(wanted)]
            if not page:
                return
            yield from page
            after = page[-1].number

    def verify(self, known: str | None = None) -> AuditVerification:
        """Read the whole chain, all of one moment.

        *known* is a `head` that was noted earlier: with it, a chain that somebody has written anew is found
        too. Raises `Malformed` for one that is none.
        """
        place = None if known is None else _place(known)
        faults: list[str] = []
        with self._database.read() as session:
            number, before, count = 0, BEGINNING, 0
            for row in _rows(session):
                count += 1
                faults += _faults(row, number, before)
                number, before = row.number, row.hash
                if place is not None and place[0] == number and place[1] != before:
                    faults.append(f"deed {number} is another than the one that was noted")
            faults += _at_the_end(session.get(AuditHead, 1), number, before)
        if place is not None and place[0] > number:
            faults.append(f"deed {place[0]}, which was noted, is missing: the chain ends with {number}")
        return AuditVerification(count, faults[:_MOST_FAULTS], f"{number}:{before}")


def _rows(session: Session) -> Iterator[AuditRow]:
    wanted = select(AuditRow).order_by(AuditRow.number).limit(_PAGE)
    page_of = wanted
    while True:
        page = list(session.scalars(page_of))
        if not page:
            return
        yield from page
        page_of = wanted.where(AuditRow.number > page[-1].number)
        session.expunge_all()


def _faults(row: AuditRow, last: int, before: str) -> Iterator[str]:
    if row.number == last + 1:
        if row.hash != chained(before, row):
            yield f"deed {row.number} is not as it was written down, or the one before it was another"
        return
    if row.number <= last:
        yield f"deed {row.number} stands where there was none"
        return
    missing = f"deed {last + 1} is" if row.number == last + 2 else f"deeds {last + 1} to {row.number - 1} are"
    yield f"{missing} missing"


def _at_the_end(head: AuditHead | None, number: int, before: str) -> Iterator[str]:
    if head is None:
        yield "the row that holds the end of the chain is missing"
    elif head.number > number:
        yield f"deeds {number + 1} to {head.number} are missing at the end"
    elif (head.number, head.hash) != (number, before):
        yield f"the chain ends with deed {number}, and not as was written down when it was appended"


def _place(known: str) -> tuple[int, str]:
    number, _, found = known.partition(":")
    if not number.isdigit() or len(number) > 9 or len(found) != len(BEGINNING):
        raise Malformed(f"{known[:80]!r} is no end of a chain; `forebay audit verify` prints one")
    return int(number), found


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        time=row.time,
        project=row.project,
        who=row.who,
        origin=row.origin,
        action=row.action,
        subject=row.subject,
        outcome=row.outcome,
        detail=json.loads(row.detail),
        hash=row.hash,
    )
