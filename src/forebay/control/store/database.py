"""The database: SQLite in WAL mode, or PostgreSQL; one way to speak to both."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from forebay.control.store.audit import ERRAND, write_deeds
from forebay.control.store.changes import Changes, bumped
from forebay.core.errors import ForebayError, NotReady, StorageFull

_AWAY = ("08", "53", "57P", "40", "55P03")
"""SQLSTATE classes of PostgreSQL that pass: connection, resources, shutdown, deadlock, lock not available."""
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)


_LOCK_PAUSE_S = 0.02


class Database:
    """Sessions on one database. `url` is a SQLAlchemy URL: `sqlite:///…` or `postgresql+psycopg://…`.

    Nobody waits for a lock, a connection or a server longer than *wait_s*. `changes` tells listeners in
    this process of every committed `bump`.
    """

    def __init__(self, url: str, wait_s: float = 5.0) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url, wait_s) if self.sqlite else _postgresql_engine(url, wait_s)
        self.changes = Changes()
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking: all it sees is of one moment, and nothing it does is kept."""
        options: dict[str, Any] = {}
        if not self.sqlite:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with honest_errors(), self._sessions() as session:
            session.connection(execution_options=options)
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: all of it or, when the block raises, nothing. What is done is in the audit with it.

        On SQLite it takes the write lock at once, so that two never upgrade into a deadlock. Raises
        `NotReady` while the database is locked or away.
        """
        with honest_errors(), self._sessions.begin() as session:
            session.connection(execution_options={"forebay_write": True})
            yield session
            told = write_deeds(session)
        errand = ERRAND.get()
        if told and errand is not None:
            errand.written = True
        if bumped(session):
            self.changes.announce()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _postgresql_engine(url: str, wait_s: float) -> Engine:
    arguments = {
        "connect_timeout": max(2, round(wait_s)),  # the driver takes whole seconds, from two on
        "options": f"-c lock_timeout={round(wait_s * 1000)}ms",
    }
    return create_engine(
        url, pool_pre_ping=True, pool_size=8, max_overflow=8, pool_timeout=wait_s, connect_args=arguments
    )


def _sqlite_engine(url: str, wait_s: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": wait_s, "check_same_thread": False})
    event.listen(engine, "connect", lambda connection, _record: _prepare_sqlite(connection, wait_s))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, wait_s: float) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; ours is in _begin_sqlite
    _use_wal(connection, wait_s)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: sqlite3.Connection, wait_s: float) -> None:
    """Switch to WAL, once in a database's life: the one lock for which SQLite does not wait by itself."""
    give_up_s = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(_LOCK_PAUSE_S)
        else:
            return


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("forebay_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def honest_errors() -> Iterator[None]:
    """Name the troubles that pass: `NotReady` for a database that is locked or away, `StorageFull`."""
    try:
        yield
    except PoolTimeoutError as error:
        raise NotReady("every connection to the database is busy; try again", retry_after_s=1.0) from error
    except DBAPIError as error:
        if _full(error.orig):
            raise StorageFull("the database's disk is full; free some space and try again") from error
        if error.connection_invalidated or _passing(error.orig):
            raise NotReady("the database is locked or away; try again", retry_after_s=1.0) from error
        raise
    except StatementError as error:  # a value that a column refuses, wrapped by SQLAlchemy
        if isinstance(error.orig, ForebayError):
            raise error.orig from None
        raise


def _full(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return isinstance(error, psycopg.errors.DiskFull)


def _passing(error: BaseException | None) -> bool:
    """Whether the same statement may succeed a little later."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOCKED  # the low byte is the kind of error
    if isinstance(error, psycopg.OperationalError):
        return error.sqlstate is None or error.sqlstate.startswith(_AWAY)
    return False
