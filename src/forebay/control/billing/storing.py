"""Puts blocks into the tables: the events, where they are found again, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import case, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from forebay.control.billing.blocks import Block, seal_of
from forebay.control.billing.tables import BlockRow, LedgerRow, PlaceRow, TotalRow
from forebay.control.billing.tally import Key, Tally
from forebay.control.billing.use import COUNTS

_PLACES = PlaceRow.metadata.tables[PlaceRow.__tablename__]
_TOTALS = TotalRow.metadata.tables[TotalRow.__tablename__]
_MOST = 2**63 - 1


def keep(session: Session, ledger: LedgerRow, journal: str, block: Block, now: datetime) -> None:
    """Append *block*; the caller holds the lock of *ledger*."""
    row = BlockRow(
        number=ledger.events + 1,
        events=block.end_seq - block.first_seq,
        journal=journal,
        first_seq=block.first_seq,
        received_at=now,
        payload=block.payload,
    )
    row.seal = ledger.seal = seal_of(ledger.seal, row)
    ledger.events += row.events
    session.add(row)
    places = sorted({(key.project, key.hour) for key in block.tally})
    session.execute(
        insert(_PLACES),
        [{"project": project, "hour": hour, "block": row.number} for project, hour in places],
    )
    session.execute(_ADD[session.get_bind().dialect.name], totals_of(block.tally))


def totals_of(tally: Tally) -> list[dict[str, Any]]:
    """The columns of `TotalRow`, for each key."""
    return [
        {**key._asdict(), **{name: min(getattr(use, name), _MOST) for name in COUNTS}}
        for key, use in tally.items()
    ]


def _adding(insert: Callable[..., Any]) -> Any:
    """Add to a total or begin it. One that is full stays full: nonsense that a node counts stops no other."""
    added = insert(_TOTALS)
    sums = {}
    for name in COUNTS:
        held, more = _TOTALS.c[name], added.excluded[name]
        sums[name] = case((held > _MOST - more, _MOST), else_=held + more)
    return added.on_conflict_do_update(index_elements=list(Key._fields), set_=sums)


_ADD = {"sqlite": _adding(sqlite.insert), "postgresql": _adding(postgresql.insert)}
