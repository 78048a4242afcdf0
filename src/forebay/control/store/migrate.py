"""Bringing a database up to date, by whichever hub comes first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from forebay.control.store.database import Database, honest_errors
from forebay.core.errors import Broken

_FOLDER = Path(__file__).with_name("migrations")
_LOCK = 0x666F7265626179
"""Who migrates a PostgreSQL database holds this advisory lock; the number spells `forebay`."""
_WAIT_S = 120


def migrate(database: Database) -> None:
    """Bring the tables up to what this code expects; nothing happens if they are.

    Of two hubs that start at once one migrates, and the other waits. All of it happens or nothing. Raises
    `Broken` for a database that a later release has migrated, or that holds tables of somebody else.
    """
    script = ScriptDirectory(str(_FOLDER))
    with _alone(database) as connection:
        context = MigrationContext.configure(connection)
        current = context.get_current_revision()
        _refuse_later(current, script)
        to_do = list(script.iterate_revisions("head", current or "base"))
        with Operations.context(context):
            for revision in reversed(to_do):
                revision.module.upgrade()
                context.stamp(script, revision.revision)


def migration_state(database: Database) -> tuple[str | None, str]:
    """The revision that the database has (None if it is empty), and the one that this code expects."""
    head = ScriptDirectory(str(_FOLDER)).get_current_head()
    assert head is not None, "there is at least the first revision"
    with honest_errors(), database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), head


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A transaction in which nobody else migrates."""
    with honest_errors(), database.engine.connect() as connection:
        connection.execution_options(forebay_write=True)
        with connection.begin():
            if not database.sqlite:
                connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_S}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            try:
                yield connection
            except SQLAlchemyError as error:
                raise Broken(f"the database could not be brought up to date: {error}") from error


def _refuse_later(current: str | None, script: ScriptDirectory) -> None:
    known = {revision.revision for revision in script.walk_revisions()}
    if current is not None and current not in known:
        raise Broken(
            f"the database is of a later Forebay: its revision is {current}, and this release knows only "
            f"up to {script.get_current_head()}; install that release again, or restore a backup"
        )
