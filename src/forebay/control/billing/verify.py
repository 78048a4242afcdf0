"""Whether the ledger is what the nodes have written: every byte of it, and the sums."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from forebay.control.billing.blocks import events_in, seal_of
from forebay.control.billing.storing import totals_of
from forebay.control.billing.tables import BlockRow, GapRow, JournalRow, LedgerRow, TotalRow
from forebay.control.billing.tally import Key, add_up
from forebay.control.billing.use import COUNTS
from forebay.core.errors import Broken

_BLOCKS_AT_ONCE = 8
_TOTALS_AT_ONCE = 1000
_MOST_FAULTS = 100
_Prints: TypeAlias = defaultdict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Verified:
    """How much was read, and a sentence for each thing that is not as it was written."""

    blocks: int
    events: int
    faults: tuple[str, ...]


@dataclass(slots=True)
class _Walk:
    """What is known so far, on the way through all blocks in their order."""

    blocks: int = 0
    events: int = 0
    seal: bytes = b""
    held: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    prints: _Prints = field(default_factory=lambda: defaultdict(lambda: [0] * len(COUNTS)))


def verify(session: Session) -> Verified:
    """Read everything: seals, checksums, numbers, and totals added up anew, in bounded memory."""
    walk = _Walk()
    with closing(_faults(session, walk)) as found:
        faults = tuple(islice(found, _MOST_FAULTS))
    return Verified(walk.blocks, walk.events, faults)


def _faults(session: Session, walk: _Walk) -> Generator[str]:
    found = select(BlockRow).order_by(BlockRow.number).execution_options(yield_per=_BLOCKS_AT_ONCE)
    with session.scalars(found) as rows:
        for row in rows:
            yield from _block(walk, row)
    ledger = session.get_one(LedgerRow, 1)
    if (ledger.events, ledger.seal) != (walk.events, walk.seal):
        yield f"the last blocks are missing: {ledger.events} events were taken over, {walk.events} are there"
    yield from _journals(session, walk)
    yield from _totals(session, walk)


def _block(walk: _Walk, row: BlockRow) -> Iterator[str]:
    if row.number != walk.events + 1:
        yield f"block {row.number} stands where {walk.events + 1} is due: blocks are missing, or were added"
    if row.seal != seal_of(walk.seal, row):
        yield f"block {row.number} (journal {row.journal}) does not fit its seal: somebody changed it"
    walk.blocks, walk.events, walk.seal = walk.blocks + 1, row.number + row.events - 1, row.seal
    walk.held[row.journal] += row.events
    try:
        tally = add_up(events_in(row))
    except Broken as error:
        yield str(error)
        return
    _add(walk.prints, totals_of(tally))


def _journals(session: Session, walk: _Walk) -> Iterator[str]:
    missing = func.coalesce(func.sum(GapRow.end_seq - GapRow.first_seq), 0)
    found = select(JournalRow.name, JournalRow.next_seq, missing).outerjoin(
        GapRow, GapRow.journal == JournalRow.name
    )
    for name, next_seq, gaps in session.execute(found.group_by(JournalRow.name, JournalRow.next_seq)):
        if walk.held[name] + int(gaps) != next_seq:
            taken = next_seq - int(gaps)
            yield f"of journal {name}, {taken} events were taken over, {walk.held[name]} are there"


def _totals(session: Session, walk: _Walk) -> Iterator[str]:
    kept: _Prints = defaultdict(lambda: [0] * len(COUNTS))
    columns = [getattr(TotalRow, name) for name in (*Key._fields, *COUNTS)]
    found = select(*columns).execution_options(yield_per=_TOTALS_AT_ONCE)
    with session.execute(found) as rows:
        _add(kept, (row._asdict() for row in rows))
    for project in sorted(kept.keys() | walk.prints.keys()):
        if kept[project] != walk.prints[project]:
            yield f"the totals of the project {project} are not what its events add up to"


def _add(prints: _Prints, totals: Iterable[dict[str, Any]]) -> None:
    """Add *totals* to a fingerprint by project: sums, weighted by what each one is of.

    So two lists of parts have the same fingerprint if, and but for luck only if, they add up to the same
    under every key; and no key has to be remembered.
    """
    for total in totals:
        key = msgspec.msgpack.encode([total[name] for name in Key._fields])
        weight = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
        sums = prints[total["project"]]
        for place, name in enumerate(COUNTS):
            sums[place] += weight * total[name]
