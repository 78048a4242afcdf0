"""Permits of limits, handed out to the workers of all nodes."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from forebay.control.billing.limits import limit_of
from forebay.control.billing.permits import LEASE_S, PermitBook
from forebay.control.billing.tables import LeaseRow, LimitRow
from forebay.control.store import Database
from forebay.core import CallLimit, Lease, LeaseAnswer, LeaseAsk


class Leases:
    """Every limit's permits, which several hubs may hand out: who does holds the lock of the limit's row.

    A share is in the database before its holder hears of it, and its holder's words are there, as numbers
    that grow. When a lease ends each hub knows from when it saw them grow: clocks are not compared.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._books: defaultdict[str, PermitBook] = defaultdict(PermitBook)

    def answer(self, ask: LeaseAsk) -> LeaseAnswer:
        """What *ask*'s holder may have from now on; of a limit that it has said more of since, nothing."""
        with self._lock:
            now_s = self._clock()
            with self._database.write() as session:
                wanted = select(LimitRow).where(LimitRow.id.in_(ask.limits)).order_by(LimitRow.id)
                limits = [limit_of(row) for row in session.scalars(wanted.with_for_update())]
                found = {limit.id: self._lease(session, limit, ask, now_s) for limit in limits}
            return LeaseAnswer(LEASE_S, {name: lease for name, lease in found.items() if lease is not None})

    def _lease(self, session: Session, limit: CallLimit, ask: LeaseAsk, now_s: float) -> Lease | None:
        said, book = ask.limits[limit.id], self._books[limit.id]
        rows = session.scalars(select(LeaseRow).where(LeaseRow.limit_id == limit.id))
        written = {row.holder: (row.permits, row.number) for row in rows}
        book.see(written, now_s)
        if book.is_old(ask.holder, ask.number):
            return None
        lease = book.answer(limit, ask.holder, said, now_s)
        before = {holder: permits for holder, (permits, _) in written.items()}
        if book.shares != before or book.is_due(ask.holder, now_s):
            book.note(ask.holder, ask.number, now_s)
            _write(session, limit.id, before, book.shares, ask)
        return lease


def _write(
    session: Session, limit_id: str, before: dict[str, int], shares: dict[str, int], ask: LeaseAsk
) -> None:
    """Write down what has changed: only the asking holder's share, and those that are forgotten."""
    gone = before.keys() - shares.keys()
    if gone:
        session.execute(delete(LeaseRow).where(LeaseRow.limit_id == limit_id, LeaseRow.holder.in_(gone)))
    permits = shares[ask.holder]
    session.merge(LeaseRow(limit_id=limit_id, holder=ask.holder, permits=permits, number=ask.number))
