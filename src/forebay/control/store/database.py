"""The database: SQLite in WAL mode, or PostgreSQL; one way to speak to both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Engine, Text, TypeDecorator, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from forebay.core.errors import NotReady, StorageFull

_LOCK_WAIT_S = 5.0


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC; naive ones are refused, so that nobody stores a local time by accident."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(UTC)")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The tables of every control room inherit from this."""

    type_annotation_map = {datetime: UtcTime, str: Text}  # noqa: RUF012 (SQLAlchemy reads a plain dict)


class Database:
    """Sessions on one database. `url` is a SQLAlchemy URL: `sqlite:///…` or `postgresql+psycopg://…`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        self.engine = _engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking; nothing it does is kept."""
        with _honest_errors(), self._sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: all of it or, when the block raises, nothing.

        On SQLite it takes the write lock at once (so that two never upgrade into a deadlock) and waits
        at most five seconds for it. Raises `NotReady` while the database is locked or away.
        """
        with _honest_errors(), self._sessions.begin() as session:
            session.connection(execution_options={"forebay_write": True})
            yield session

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=8, pool_timeout=_LOCK_WAIT_S)
    engine = create_engine(url, connect_args={"timeout": _LOCK_WAIT_S, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; ours is in _begin_sqlite
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("forebay_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _honest_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if "disk is full" in str(error.orig) or "No space left" in str(error.orig):
            raise StorageFull("the database's disk is full; free some space and try again") from error
        raise NotReady("the database is locked or away; try again", retry_after_s=1.0) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise NotReady("the connection to the database was lost; try again", retry_after_s=1.0) from error
        raise
