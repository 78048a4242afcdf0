"""Migrations: from nothing to what the code expects, whoever comes first."""

from __future__ import annotations

import pkgutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import select, text

import forebay.control
from forebay.control.access import Access, Role
from forebay.control.access.tables import ProjectRow
from forebay.control.billing import DEFAULT_PLAN, PlanBook
from forebay.control.billing.tables import LedgerRow
from forebay.control.store import Base, Database, bump, current, migrate, migration_state
from forebay.core.errors import Broken, NotReady

for found in pkgutil.walk_packages(forebay.control.__path__, "forebay.control."):
    if found.name.endswith(".tables"):
        import_module(found.name)


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = Database(database_url, wait_s=0.5)
    yield database
    database.close()


def missing_code(database: Database) -> str:
    """What a migration has yet to do, as the code of one; empty if nothing."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": Base.metadata})
        if not compare_metadata(context, Base.metadata):
            return ""
        operations = produce_migrations(context, Base.metadata).upgrade_ops
        assert operations is not None
        return render_python_code(operations)


def test_the_migrations_give_exactly_the_tables_that_the_code_declares(empty: Database) -> None:
    migrate(empty)
    assert missing_code(empty) == ""


def test_a_new_database_has_what_every_hub_needs(empty: Database) -> None:
    migrate(empty)
    with empty.read() as session:
        hub, number = current(session)
        assert (len(hub), number) == (16, 1)
        assert session.scalars(select(ProjectRow.name)).all() == ["default"]
        assert session.scalars(select(LedgerRow.events)).all() == [0]
    assert [said.plan for said in PlanBook(empty).plans()] == [DEFAULT_PLAN]
    assert Access(empty).create_key("default", Role.OPERATOR, "")[0].role == Role.OPERATOR


def test_an_empty_database_says_so(empty: Database) -> None:
    assert migration_state(empty) == (None, "0001")
    migrate(empty)
    assert migration_state(empty) == ("0001", "0001")


def test_a_hub_that_starts_again_changes_nothing(empty: Database) -> None:
    migrate(empty)
    with empty.write() as session:
        bump(session)
    with empty.read() as session:
        before = current(session)
    migrate(empty)
    with empty.read() as session:
        assert current(session) == before


def test_of_hubs_that_start_at_once_one_migrates_and_all_go_on(database_url: str) -> None:
    def start(_: int) -> tuple[str, int]:
        database = Database(database_url)
        migrate(database)
        with database.read() as session:
            seen = current(session)
        database.close()
        return seen

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(start, range(6)))) == 1


def test_a_database_of_a_later_release_is_refused(empty: Database) -> None:
    migrate(empty)
    with empty.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Broken, match=r"is of a later Forebay: its revision is 9999, and .* only up to 0001"):
        migrate(empty)
    assert migration_state(empty) == ("9999", "0001")


def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    with empty.write() as session:
        session.execute(text("CREATE TABLE plans (mine integer)"))
    with pytest.raises(Broken, match=r"the database could not be brought up to date: .*plans"):
        migrate(empty)
    assert migration_state(empty)[0] is None
    with empty.write() as session:
        session.execute(text("DROP TABLE plans"))
    migrate(empty)
    assert missing_code(empty) == ""


def test_a_database_that_somebody_holds_is_not_waited_for_without_end(empty: Database) -> None:
    if not empty.sqlite:
        pytest.skip("on PostgreSQL hubs wait for two minutes, and only for each other")
    other = sqlite3.connect(str(empty.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotReady, match="locked or away"):
        migrate(empty)
    other.close()
