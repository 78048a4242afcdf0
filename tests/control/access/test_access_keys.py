"""Keys: who is let in, and as whom."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from sqlalchemy import select

from forebay.control.access import PERMISSIONS, Access, KeyScope, Role, permissions_of
from forebay.control.access.tables import KeyRow, SecretRow
from forebay.control.store import Database, current
from forebay.core import Bounds, Permission, digest_of_secret
from forebay.core.errors import Conflict, Malformed, NotFound, Unauthenticated

AT_NODES = {Permission.PREDICT, Permission.OBSERVE, Permission.NODE}
DIGITS = KeyScope(models=("digits",))


@pytest.fixture
def access(database: Database) -> Access:
    return Access(database)


def basic(user: str, password: str = "") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def number(database: Database) -> int:
    with database.read() as session:
        return current(session)[1]


@pytest.mark.parametrize(
    "header",
    [
        lambda secret: f"Bearer {secret}",
        lambda secret: f"bearer  {secret} ",
        lambda secret: basic("ada", secret),
        lambda secret: basic("", secret),
        basic,
    ],
    ids=["bearer", "bearer in other clothes", "password", "password without a name", "user name"],
)
def test_a_key_names_its_holder(access: Access, header: Callable[[str], str]) -> None:
    record, secret = access.create_key("default", Role.DEVELOPER, "ada's laptop", DIGITS)
    principal = access.identify(header(secret))
    assert (principal.key_id, principal.project) == (record.id, "default")
    assert principal.permissions == PERMISSIONS[Role.DEVELOPER]
    assert principal.bounds == Bounds(models=("digits",))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !!!",
        "Basic \u00fc",
        basic(""),
        basic("ada", "hunter2"),
        "Digest username=ada",
        "Bearer fb-00000000-" + "x" * 43,
        "Bearer fb-00000000-\x00",
        "Bearer " + "x" * 100_000,
    ],
)
def test_anything_else_is_refused_with_a_sentence(access: Access, header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="key") as caught:
        access.identify(header)
    assert len(str(caught.value)) < 200


def test_a_revoked_key_is_refused_at_once_and_the_nodes_hear_of_it(
    database: Database, access: Access
) -> None:
    record, secret = access.create_key("default", Role.INFERENCE)
    before = number(database)
    access.revoke_key("default", record.id)
    assert number(database) == before + 1
    with pytest.raises(Unauthenticated):
        access.identify(f"Bearer {secret}")
    with database.read() as session:
        assert access.grants(session) == ()
    with pytest.raises(NotFound, match="no key"):
        access.revoke_key("default", record.id)
    assert access.keys("default") == []


def test_only_the_digest_of_a_key_is_stored(database: Database, access: Access) -> None:
    record, secret = access.create_key("default", Role.INFERENCE)
    with database.read() as session:
        row, kept = session.scalars(select(KeyRow)).one(), session.scalars(select(SecretRow)).one()
    assert kept.digest == digest_of_secret(secret)
    assert secret not in repr(vars(row)) + repr(vars(kept))
    assert secret.split("-", 2)[2] not in repr(record)


def test_the_nodes_are_told_of_every_key_that_is_of_use_to_them(database: Database, access: Access) -> None:
    made = [access.create_key("default", role, scope=DIGITS)[0] for role in Role]
    with database.read() as session:
        grants = access.grants(session)
    made = [record for record in made if permissions_of(record.role) & AT_NODES]
    assert [grant.key_id for grant in grants] == sorted(record.id for record in made)
    by_id = {grant.key_id: grant for grant in grants}
    for record in made:
        assert by_id[record.id].permissions == permissions_of(record.role)
        assert by_id[record.id].bounds == Bounds(models=("digits",))


def test_a_role_of_a_later_release_may_do_nothing(database: Database, access: Access) -> None:
    _, secret = access.create_key("default", Role.OPERATOR)
    with database.write() as session:
        session.scalars(select(KeyRow)).one().role = "emperor"
    assert access.identify(f"Bearer {secret}").permissions == frozenset()
    assert permissions_of("emperor") == frozenset()
    assert [record.role for record in access.keys("default")] == ["emperor"]


def test_only_administrators_act_in_every_project() -> None:
    assert [role for role in Role if Permission.PROJECTS in PERMISSIONS[role]] == [Role.OPERATOR]


def test_keys_are_listed_by_project_and_in_order(access: Access) -> None:
    access.create_project("lab")
    first, second = (access.create_key("lab", Role.INFERENCE, name)[0] for name in ("one", "two"))
    access.create_key("default", Role.INFERENCE)
    assert access.keys("lab") == [first, second]
    assert access.key("lab", first.id) == first
    with pytest.raises(NotFound):
        access.key("default", first.id)
    with pytest.raises(NotFound):
        access.revoke_key("default", first.id)


def test_a_key_that_could_never_be_of_use_is_not_made(access: Access) -> None:
    with pytest.raises(Malformed, match="empty"):
        access.create_key("default", Role.INFERENCE, scope=KeyScope(models=()))
    with pytest.raises(Malformed, match="no model name"):
        access.create_key("default", Role.INFERENCE, scope=KeyScope(models=("My Model",)))
    with pytest.raises(Malformed, match="printable"):
        access.create_key("default", Role.INFERENCE, "a\nb")
    with pytest.raises(NotFound, match="no project 'lab'"):
        access.create_key("lab", Role.INFERENCE)
    assert access.keys("default") == []


def test_projects_are_made_once_and_listed_by_name(access: Access) -> None:
    made = access.create_project("lab")
    assert access.project("lab") == made
    assert [project.name for project in access.projects()] == ["default", "lab"]
    with pytest.raises(Conflict, match="already"):
        access.create_project("lab")
    with pytest.raises(Malformed, match="no project name"):
        access.create_project("The Lab")
    with pytest.raises(NotFound):
        access.project("attic")
    with pytest.raises(NotFound):
        access.keys("attic")
