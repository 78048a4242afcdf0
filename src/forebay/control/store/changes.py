"""One number that grows with every change a node has to hear of, and how those who wait hear of it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from forebay.control.store.base import Base

_BUMPED = "forebay_bumped"


class HubState(Base):
    """The single row that says which database this is, and how many changes it has seen."""

    __tablename__ = "hub_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    hub: Mapped[str] = mapped_column(default=lambda: secrets.token_hex(8))
    snapshot: Mapped[int] = mapped_column(default=1)


class Changes:
    """Tells whoever listens in this process that a transaction which bumped the number is committed."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def announce(self) -> None:
        """Call the listeners, in this thread; `Database.write` does so after the commit."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    @contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call *listener* (from any thread; it must not block) after each change, while the block runs."""
        with self._lock:
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)


def bump(session: Session) -> int:
    """Count a change, in the transaction that makes it, and say its number.

    Writers queue here until the one before has committed, so whoever reads a number sees every change up
    to it. Call it last: the lock on a project's or model's own row comes first, or two writers could wait
    for each other. Those who wait for changes are told once the transaction is committed.
    """
    session.info[_BUMPED] = True
    counted = update(HubState).values(snapshot=HubState.snapshot + 1).returning(HubState.snapshot)
    return session.execute(counted).scalar_one()


def bumped(session: Session) -> bool:
    """Whether this session's transaction has counted a change."""
    return bool(session.info.get(_BUMPED, False))


def current(session: Session) -> tuple[str, int]:
    """Which database this is, and the number of its last change."""
    row = session.execute(select(HubState.hub, HubState.snapshot)).one()
    return row.hub, row.snapshot
