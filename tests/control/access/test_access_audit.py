"""The audit as a chain: whatever is altered, removed or put between is found."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from forebay.control.access import Access, Audit, Role
from forebay.control.store import AuditRow, Database, Deed, record_deed
from forebay.core.errors import Malformed

COLUMNS = {
    "time": "2020-01-01 00:00:00+00:00",
    "project": "lab",
    "who": "nobody",
    "origin": "10.0.0.9",
    "action": "key.kept",
    "subject": "another",
    "outcome": "refused",
    "detail": '{"why": "no"}',
    "hash": "f" * 64,
}


@pytest.fixture
def audit(database: Database) -> Audit:
    """Five deeds."""
    found = Audit(database)
    for number in range(5):
        found.record(Deed("default", "0a1b2c3d", "tests.told", f"deed {number}", {"why": "\N{SNOWMAN}"}))
    assert found.verify().faults == []
    return found


def meddle(database: Database, *statements: str, **values: Any) -> None:
    """Change rows as somebody would who owns the database, its triggers included."""
    with database.engine.begin() as connection:
        if database.sqlite:
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_update"))
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_delete"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        for statement in statements:
            assert connection.execute(text(statement), values).rowcount


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_an_altered_deed_is_found(database: Database, audit: Audit, column: str, number: int) -> None:
    assert set(COLUMNS) | {"number"} == set(AuditRow.__table__.columns.keys())
    change = f"UPDATE audit SET {column} = :value WHERE number = {number}"  # noqa: S608 (our own words)
    meddle(database, change, value=COLUMNS[column])
    said = f"deed {number} is not as it was written down, or the one before it was another"
    assert said in audit.verify().faults


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM audit WHERE number = 1", "deed 1 is missing"),
        ("DELETE FROM audit WHERE number IN (2, 3)", "deeds 2 to 3 are missing"),
        ("DELETE FROM audit WHERE number = 5", "deeds 5 to 5 are missing at the end"),
        ("DELETE FROM audit", "deeds 1 to 5 are missing at the end"),
        ("UPDATE audit SET number = 9 WHERE number = 5", "deeds 5 to 8 are missing"),
        ("UPDATE audit SET number = 0 WHERE number = 5", "deed 0 stands where there was none"),
        ("UPDATE audit SET number = -7 WHERE number = 2", "deed -7 stands where there was none"),
        ("DELETE FROM audit_head", "the row that holds the end of the chain is missing"),
        ("UPDATE audit_head SET number = 4", "the chain ends with deed 5"),
    ],
)
def test_a_gap_is_found_wherever_it_is(database: Database, audit: Audit, change: str, said: str) -> None:
    meddle(database, change)
    assert any(fault.startswith(said) for fault in audit.verify().faults), audit.verify().faults


def test_two_deeds_that_change_places_are_found(database: Database, audit: Audit) -> None:
    swap = ("UPDATE audit SET number = 99 WHERE number = 2", "UPDATE audit SET number = 2 WHERE number = 3")
    meddle(database, *swap, "UPDATE audit SET number = 3 WHERE number = 99")
    assert len(audit.verify().faults) >= 2


def test_a_chain_that_was_written_anew_is_found_by_whoever_noted_its_end(
    database: Database, audit: Audit
) -> None:
    noted = audit.verify().head
    assert audit.verify(noted).faults == []
    audit.record(Deed("default", "me", "tests.told", "later"))
    assert audit.verify(noted).faults == []
    forget = f"UPDATE audit_head SET number = 0, hash = '{'0' * 64}'"  # noqa: S608 (our own words)
    meddle(database, "DELETE FROM audit", forget)
    assert audit.verify().faults == []
    assert audit.verify(noted).faults == ["deed 5, which was noted, is missing: the chain ends with 0"]
    for number in range(7):
        audit.record(Deed("default", "me", "tests.told", f"another {number}"))
    assert audit.verify(noted).faults == ["deed 5 is another than the one that was noted"]
    for wrong in ("", "5", "x:y", "5:abc", f"{'9' * 20}:{'0' * 64}"):
        with pytest.raises(Malformed, match="no end of a chain"):
            audit.verify(wrong)


def test_two_hubs_that_write_at_once_keep_one_chain(hub_database_url: str) -> None:
    hubs = [Database(hub_database_url, wait_s=30.0) for _ in range(2)]

    def work(number: int) -> None:
        access = Access(hubs[number % 2])
        if number % 3:
            record, _ = access.create_key("default", Role.INFERENCE, f"key {number}")
            access.revoke_key("default", record.id)
        else:
            Audit(hubs[number % 2]).record(Deed("default", "me", "tests.told", str(number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(48)))
    found = Audit(hubs[0]).verify()
    assert (found.deeds, found.faults) == (16 + 2 * 32, [])
    for database in hubs:
        database.close()


def test_a_deed_that_is_undone_leaves_no_trace(database: Database, audit: Audit) -> None:
    def undone() -> None:
        with database.write() as session:
            record_deed(session, Deed("default", "me", "tests.told", "never"))
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError):
        undone()
    assert (audit.verify().deeds, audit.verify().faults) == (5, [])


def test_keys_leave_what_was_done_with_them(database: Database) -> None:
    access, audit = Access(database), Audit(database)
    record, secret = access.create_key("default", Role.DEVELOPER, "ada's laptop")
    access.revoke_key("default", record.id)
    access.create_project("lab")
    told = [(entry.project, entry.action, entry.subject) for entry in audit.all(None)]
    assert told == [
        ("default", "key.created", record.id),
        ("default", "key.revoked", record.id),
        ("lab", "project.created", "lab"),
    ]
    assert [entry.number for entry in audit.all("default")] == [1, 2]
    assert secret.split("-", 2)[2] not in json.dumps([entry.detail for entry in audit.all(None)])


def test_a_long_audit_is_read_page_by_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forebay.control.access.audit._PAGE", 3)
    audit = Audit(database)
    with database.write() as session:
        for number in range(10):
            record_deed(session, Deed("default", "me", "tests.told", str(number)))
    assert [entry.subject for entry in audit.all(None)] == [str(number) for number in range(10)]
    assert audit.verify().deeds == 10
    assert audit.verify().faults == []
