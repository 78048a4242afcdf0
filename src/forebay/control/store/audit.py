"""Who did what: written in the transaction of the deed, by every room, only ever appended to, and chained.

Each row holds the SHA-256 of itself and of the row before it, so that whatever is altered, removed or put
between is found by reading all of them. One row of another table holds the end of the chain: it is locked
last in a transaction, so that of two hubs one waits for the other, and neither for both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import Index, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from forebay.control.store.base import Base

BEGINNING = "0" * 64
_DEEDS = "forebay_deeds"
_INSTEAD = "forebay_deeds_instead"


class AuditRow(Base):
    """One deed. `detail` holds JSON; the database refuses to change or delete a row."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_project", "project", "number"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime]
    project: Mapped[str]
    who: Mapped[str]
    origin: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    outcome: Mapped[str]
    detail: Mapped[str]
    hash: Mapped[str]


class AuditHead(Base):
    """The single row that says how long the chain is, and the hash of its end."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    number: Mapped[int] = mapped_column(default=0)
    hash: Mapped[str] = mapped_column(default=BEGINNING)


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did: *action* as `room.past-participle`, *subject* as the thing's own name.

    Without *who* it is whoever makes the request at hand. *outcome* is `done`, `refused` or `failed`.
    """

    project: str
    who: str
    action: str
    subject: str
    detail: Mapping[str, str] = field(default_factory=dict)
    outcome: str = "done"


@dataclass(slots=True)
class Errand:
    """The request that is being answered: who makes it, from where, and what it would do.

    Once somebody may do it, `deed` is written with the first transaction that commits, unless a room writes
    down another instead; `written` turns true then.
    """

    origin: str
    who: str = ""
    deed: Deed | None = None
    written: bool = False


ERRAND: ContextVar[Errand | None] = ContextVar("errand", default=None)
"""What this thread or task is at; a job's own thread is at none."""


def record_deed(session: Session, deed: Deed, *, instead: bool = False) -> None:
    """Write *deed* down: with the transaction that does it, or not at all.

    It stands beside what is told of the request anyway, or, where it says all of that, *instead*.
    """
    session.info.setdefault(_DEEDS, []).append(deed)
    session.info[_INSTEAD] = instead or session.info.get(_INSTEAD, False)


def write_deeds(session: Session) -> bool:
    """Append what this transaction does to the chain, as the last thing in it; whether there was anything."""
    deeds: list[Deed] = session.info.pop(_DEEDS, [])
    errand = ERRAND.get()
    instead = session.info.pop(_INSTEAD, False)
    if not instead and errand is not None and errand.deed is not None and not errand.written:
        deeds = [errand.deed, *deeds]
    if not deeds:
        return False
    session.flush()  # every other lock is taken by now
    longer = update(AuditHead).values(number=AuditHead.number + len(deeds))
    number, before = session.execute(longer.returning(AuditHead.number, AuditHead.hash)).one()
    for place, deed in enumerate(deeds, number - len(deeds) + 1):
        row = _row(place, deed, errand)
        row.hash = before = chained(before, row)
        session.add(row)
    session.execute(update(AuditHead).values(hash=before))
    return True


def chained(before: str, row: AuditRow) -> str:
    """The hash of *row* behind one whose hash is *before*."""
    time = row.time.astimezone(UTC).isoformat(timespec="microseconds")
    told = [
        row.number,
        time,
        row.project,
        row.who,
        row.origin,
        row.action,
        row.subject,
        row.outcome,
        row.detail,
    ]
    return sha256(f"{before}\n{json.dumps(told)}".encode()).hexdigest()


def _row(number: int, deed: Deed, errand: Errand | None) -> AuditRow:
    return AuditRow(
        number=number,
        time=datetime.now(UTC),
        project=deed.project,
        who=deed.who or (errand.who if errand is not None else ""),
        origin=errand.origin if errand is not None else "",
        action=deed.action,
        subject=deed.subject,
        outcome=deed.outcome,
        detail=json.dumps(dict(deed.detail)),
    )
