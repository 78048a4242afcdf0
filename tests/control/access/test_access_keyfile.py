"""admin.key and node.key: files with a secret that survive what happens to files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete

from forebay.control.access import PERMISSIONS, Access, Role
from forebay.control.access.tables import KeyRow, SecretRow
from forebay.control.store import Database
from forebay.core import Permission
from forebay.core.errors import Broken, Conflict, Unauthenticated


@pytest.fixture
def access(database: Database) -> Access:
    return Access(database)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "admin.key"


def secret_of(path: Path) -> str:
    return path.read_text().strip()


def test_the_first_start_makes_a_key_that_only_the_owner_can_read(access: Access, path: Path) -> None:
    key_id = access.ensure_key_file(path, Role.OPERATOR)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["admin.key"]
    principal = access.identify(f"Bearer {secret_of(path)}")
    assert (principal.key_id, principal.project) == (key_id, "default")
    assert principal.permissions == PERMISSIONS[Role.OPERATOR]


def test_the_next_start_keeps_the_key(access: Access, path: Path) -> None:
    first = access.ensure_key_file(path, Role.NODE)
    before = path.read_bytes()
    assert access.ensure_key_file(path, Role.NODE) == first
    assert path.read_bytes() == before
    assert [record.name for record in access.keys("default")] == ["admin.key"]


def test_the_key_stays_valid_when_the_database_was_made_anew(
    access: Access, path: Path, database: Database
) -> None:
    key_id = access.ensure_key_file(path, Role.OPERATOR)
    with database.write() as session:
        session.execute(delete(SecretRow))
        session.execute(delete(KeyRow))
    with pytest.raises(Unauthenticated):
        access.identify(f"Bearer {secret_of(path)}")
    assert access.ensure_key_file(path, Role.OPERATOR) == key_id
    assert Permission.PROJECTS in access.identify(f"Bearer {secret_of(path)}").permissions


def test_a_revoked_key_is_replaced_and_never_comes_back(access: Access, path: Path) -> None:
    first = access.ensure_key_file(path, Role.OPERATOR)
    revoked = secret_of(path)
    access.revoke_key("default", first)
    assert access.ensure_key_file(path, Role.OPERATOR) != first
    assert access.identify(f"Bearer {secret_of(path)}").permissions == PERMISSIONS[Role.OPERATOR]
    with pytest.raises(Unauthenticated):
        access.identify(f"Bearer {revoked}")


def test_a_file_that_others_can_read_is_closed_to_them(access: Access, path: Path) -> None:
    access.ensure_key_file(path, Role.OPERATOR)
    path.chmod(0o644)
    access.ensure_key_file(path, Role.OPERATOR)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"hunter2\n", b"\xff\xfe\x00"])
def test_a_file_without_a_key_is_left_alone_and_named(access: Access, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(Conflict, match=r"admin\.key holds no Forebay key; move it away"):
        access.ensure_key_file(path, Role.OPERATOR)
    assert path.read_bytes() == content


def test_a_key_of_another_role_is_not_taken_for_the_admin_key(access: Access, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(access.create_key("default", Role.INFERENCE)[1])
    with pytest.raises(Conflict, match="role inference, not operator"):
        access.ensure_key_file(path, Role.OPERATOR)


def test_a_folder_that_cannot_be_written_leaves_no_key_behind(access: Access, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(Broken, match="cannot be read or written"):
        access.ensure_key_file(tmp_path / "home" / "admin.key", Role.OPERATOR)
    assert access.keys("default") == []


def test_two_hubs_that_start_at_once_agree_on_the_key(access: Access, path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: access.ensure_key_file(path, Role.OPERATOR), range(4)))
    assert set(ids) == {access.identify(f"Bearer {secret_of(path)}").key_id}
    assert len(access.keys("default")) == 1


def test_hubs_that_start_at_once_replace_a_revoked_key_once(access: Access, path: Path) -> None:
    for _ in range(5):
        old = access.ensure_key_file(path, Role.OPERATOR)
        access.revoke_key("default", old)
        with ThreadPoolExecutor(4) as pool:
            ids = list(pool.map(lambda _: access.ensure_key_file(path, Role.OPERATOR), range(4)))
        assert set(ids) == {access.identify(f"Bearer {secret_of(path)}").key_id}
        assert old not in ids
