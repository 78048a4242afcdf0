"""The database: what one is told when it is locked, away or full, and what is of one moment."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from forebay.control.access.tables import ProjectRow
from forebay.control.store import Database, HubState, bump, current
from forebay.core.errors import Malformed, NotReady
from support.postgres import Cluster


def project(name: str) -> ProjectRow:
    return ProjectRow(name=name, created_at=datetime.now(UTC))


def change_and_fail(database: Database) -> None:
    with database.write() as session:
        bump(session)
        raise KeyError("x")


def names(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.scalars(select(ProjectRow.name)))


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(KeyError):
        change_and_fail(database)
    with database.read() as session:
        assert current(session)[1] == 1


def test_what_a_reader_does_is_not_kept(database: Database) -> None:
    if database.sqlite:
        with database.read() as session:
            session.add(project("lab"))
            session.flush()
    assert names(database) == ["default"]


def test_a_reader_sees_one_moment(database: Database) -> None:
    with database.read() as session:
        before = session.scalars(select(ProjectRow.name)).all()
        with database.write() as other:
            other.add(project("lab"))
        assert session.scalars(select(ProjectRow.name)).all() == before
    assert names(database) == ["default", "lab"]


def test_times_are_utc_whatever_they_were(database: Database) -> None:
    local = datetime(2026, 11, 22, 9, 30, tzinfo=timezone(timedelta(hours=5)))
    with database.write() as session:
        session.add(ProjectRow(name="lab", created_at=local))
    with database.read() as session:
        found = session.get_one(ProjectRow, "lab").created_at
    assert found == local
    assert found.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="has no time zone"), database.write() as session:
        session.add(ProjectRow(name="lab", created_at=datetime(2026, 11, 22)))  # noqa: DTZ001 (that is the mistake)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_text_that_no_database_holds_is_refused(database: Database, name: str) -> None:
    with pytest.raises(Malformed, match="holds a NUL or half a character"), database.write() as session:
        session.add(project(name))
    with pytest.raises(Malformed), database.read() as session:
        session.get(ProjectRow, name)


def test_a_broken_rule_is_no_trouble_of_the_database(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(project("default"))


def test_a_statement_that_is_wrong_is_no_trouble_of_the_database(database: Database) -> None:
    with pytest.raises(DatabaseError), database.read() as session:
        session.execute(text("SELECT nothing FROM nowhere"))


def test_changes_are_counted_in_the_order_in_which_they_are_kept(database: Database) -> None:
    def change(_: int) -> tuple[int, int]:
        with database.write() as session:
            number = bump(session)
        with database.read() as session:
            return number, current(session)[1]

    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(change, range(24)))
    assert sorted(number for number, _ in counted) == list(range(2, 26))
    assert all(seen >= number for number, seen in counted)


def test_those_who_listen_hear_of_changes_that_are_kept_and_of_no_others(database: Database) -> None:
    heard: list[int] = []

    def look() -> None:
        with database.read() as session:
            heard.append(current(session)[1])

    with database.changes.listening(look):
        with database.write() as session:
            bump(session)
        with database.write() as session:
            session.add(project("lab"))
        with pytest.raises(KeyError):
            change_and_fail(database)
    with database.write() as session:
        bump(session)
    assert heard == [2]


def test_a_database_that_was_never_started_is_away() -> None:
    away = Database("postgresql+psycopg://forebay@127.0.0.1:1/forebay")
    with pytest.raises(NotReady, match="the database is locked or away; try again") as refusal, away.read():
        pass
    assert refusal.value.retry_after_s == 1.0
    away.close()


class TestSqlite:
    """What only SQLite can do to us."""

    @pytest.fixture
    def sqlite(self, tmp_path: Path) -> Iterator[Database]:
        found = Database(f"sqlite:///{tmp_path / 'hub.db'}", wait_s=0.5)
        HubState.metadata.create_all(found.engine)
        with found.write() as session:
            session.add(HubState())
        yield found
        found.close()

    def test_a_locked_database_is_waited_for_and_then_said_to_be_locked(
        self, sqlite: Database, tmp_path: Path
    ) -> None:
        other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        with pytest.raises(NotReady, match="locked or away"), sqlite.write() as session:
            bump(session)
        assert 0.4 < time.monotonic() - began_s < 3
        with sqlite.read() as session:
            assert current(session)[1] == 1
        other.execute("ROLLBACK")
        other.close()
        with sqlite.write() as session:
            assert bump(session) == 2

    def test_a_lock_that_is_given_back_in_time_is_not_noticed(self, sqlite: Database, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        releasing = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
        releasing.start()
        with sqlite.write() as session:
            assert bump(session) == 2
        releasing.join()
        other.close()

    def test_a_folder_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        lost = Database(f"sqlite:///{tmp_path / 'nowhere' / 'hub.db'}")
        with pytest.raises(NotReady), lost.read():
            pass
        lost.close()


class TestPostgres:
    """What only PostgreSQL can do to us."""

    @pytest.fixture
    def own_cluster(self) -> Iterator[Cluster]:
        cluster = Cluster()
        yield cluster
        cluster.close()

    def test_a_server_that_stops_is_away_and_comes_back(self, own_cluster: Cluster) -> None:
        name = own_cluster.create()
        database = Database(own_cluster.url(name))
        HubState.metadata.create_all(database.engine)
        with database.write() as session:
            session.add(HubState())
        own_cluster.stop()
        for _ in range(2):
            with pytest.raises(NotReady, match="away"), database.read() as session:
                current(session)
            with pytest.raises(NotReady, match="away"), database.write() as session:
                bump(session)
        own_cluster.start()
        with database.write() as session:
            assert bump(session) == 2
        database.close()

    def test_a_server_that_stops_in_the_middle_of_a_transaction_keeps_nothing_of_it(
        self, own_cluster: Cluster
    ) -> None:
        database = Database(own_cluster.url(own_cluster.create()))
        HubState.metadata.create_all(database.engine)
        with database.write() as session:
            session.add(HubState())

        def stopped_in_between() -> None:
            with database.write() as session:
                bump(session)
                own_cluster.stop()
                bump(session)

        with pytest.raises(NotReady, match="away"):
            stopped_in_between()
        own_cluster.start()
        with database.read() as session:
            assert current(session)[1] == 1
        database.close()

    def test_a_row_that_stays_locked_is_not_waited_for_without_end(self, postgres: Cluster) -> None:
        database = Database(postgres.url(postgres.create()), wait_s=0.5)
        HubState.metadata.create_all(database.engine)
        with database.write() as session:
            session.add(HubState())
        with database.write() as session:
            bump(session)
            began_s = time.monotonic()
            with pytest.raises(NotReady, match="locked or away"), database.write() as other:
                bump(other)
            assert 0.4 < time.monotonic() - began_s < 3
        database.close()
