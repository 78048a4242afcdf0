"""Projects and keys: making, finding and revoking them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from forebay.control.access.credentials import secret_in
from forebay.control.access.keyfile import plainly, read_secret, write_secret
from forebay.control.access.permissions import Role, permissions_of
from forebay.control.access.tables import KeyRow, ProjectRow
from forebay.control.store import Database, bump
from forebay.core import (
    Key,
    KeyGrant,
    Permission,
    Principal,
    checked_name,
    digest_of_secret,
    key_id_of,
    new_key,
)
from forebay.core.errors import Conflict, Malformed, NotFound, Unauthenticated

DEFAULT_PROJECT = "default"
_OF_USE_TO_NODES = frozenset({Permission.PREDICT, Permission.OBSERVE, Permission.NODE})
_NAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project, as it is shown."""

    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key, as it is shown: everything but its secret."""

    id: str
    name: str
    role: str
    project: str
    models: tuple[str, ...] | None
    created_at: datetime


class Access:
    """Who may do what, in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def identify(self, authorization: str | None) -> Principal:
        """The holder of the live key in an `Authorization` header; raises `Unauthenticated`.

        The key is found by its digest, so that the time taken says nothing about how much of a guess
        was right. Nothing is cached: a revoked key is refused from the next request on.
        """
        secret = secret_in(authorization)
        if secret is None:
            raise Unauthenticated(
                "send a key: the header `Authorization: Bearer KEY`, or Basic with the key as password"
            )
        with self._database.read() as session:
            row = session.scalar(_live().where(KeyRow.digest == digest_of_secret(secret)))
        if row is None:
            raise Unauthenticated("this key is unknown or revoked; ask the project's owner for another")
        return _grant(row).principal()

    def grants(self, session: Session) -> tuple[KeyGrant, ...]:
        """Every live key that a node has to know, in a fixed order."""
        rows = session.scalars(_live().order_by(KeyRow.id))
        return tuple(grant for grant in map(_grant, rows) if grant.permissions & _OF_USE_TO_NODES)

    def create_key(
        self, project: str, role: Role, name: str = "", models: Iterable[str] | None = None
    ) -> tuple[KeyRecord, str]:
        """A new key of *project*, and its secret, which is nowhere else; raises `NotFound`, `Malformed`."""
        allowed = None if models is None else _checked_models(models)
        if len(name) > _NAME_CHARS or not name.isprintable():
            raise Malformed(f"a key's name has at most {_NAME_CHARS} printable characters")
        with self._database.write() as session:
            _project(session, project)
            key = _fresh(session)
            row = _row(key, project, role, name, allowed)
            session.add(row)
            bump(session)
        return _record(row), key.secret

    def keys(self, project: str) -> list[KeyRecord]:
        """The live keys of *project*, oldest first; raises `NotFound`."""
        with self._database.read() as session:
            _project(session, project)
            rows = session.scalars(
                _live().where(KeyRow.project == project).order_by(KeyRow.created_at, KeyRow.id)
            )
            return [_record(row) for row in rows]

    def key(self, project: str, key_id: str) -> KeyRecord:
        """One live key of *project*; raises `NotFound`."""
        with self._database.read() as session:
            return _record(_one(session, project, key_id))

    def revoke_key(self, project: str, key_id: str) -> None:
        """Refuse this key from now on; raises `NotFound` unless *project* has it."""
        with self._database.write() as session:
            _one(session, project, key_id).revoked_at = datetime.now(UTC)
            bump(session)

    def create_project(self, name: str) -> ProjectRecord:
        """A new project; raises `Conflict` if there is one of this name."""
        row = ProjectRow(name=checked_name(name, "project"), created_at=datetime.now(UTC))
        try:
            with self._database.write() as session:
                session.add(row)
        except IntegrityError as error:
            raise Conflict(f"there is a project {name!r} already") from error
        return ProjectRecord(row.name, row.created_at)

    def projects(self) -> list[ProjectRecord]:
        """Every project, by name."""
        with self._database.read() as session:
            found = [ProjectRecord(row.name, row.created_at) for row in session.scalars(select(ProjectRow))]
        return sorted(found, key=lambda project: project.name)

    def project(self, name: str) -> ProjectRecord:
        """One project; raises `NotFound`."""
        with self._database.read() as session:
            row = _project(session, name)
            return ProjectRecord(row.name, row.created_at)

    def ensure_key_file(self, path: Path, role: Role) -> str:
        """The id of the live key in *path*, made if need be; raises `Conflict` for another role's key.

        The file comes first and the row second, so a crash between them is mended by the next start, as
        is a database that was made anew under an old file. A revoked key is replaced.
        """
        with plainly(path):
            return self._ensure(path, role)

    def _ensure(self, path: Path, role: Role) -> str:
        secret = read_secret(path)
        row = None if secret is None else self._find(secret)
        if row is None or row.revoked_at is not None:
            row = self._register_file(path, role, replace=row is not None)
        if row.role != role:
            raise Conflict(
                f"{path} holds a key of the role {row.role}, not {role}; move it away and start again"
            )
        return row.id

    def _register_file(self, path: Path, role: Role, *, replace: bool) -> KeyRow:
        if replace or not path.exists():
            write_secret(path, new_key().secret, replace=replace)
        secret = read_secret(path)
        assert secret is not None
        with self._database.write() as session:
            bump(session)  # first, because two hubs that start at once queue here
            row = session.scalar(_of(secret))
            if row is None:
                row = _row(
                    Key(key_id_of(secret) or "", secret, digest_of_secret(secret)),
                    DEFAULT_PROJECT,
                    role,
                    path.name,
                    None,
                )
                session.add(row)
        return row

    def _find(self, secret: str) -> KeyRow | None:
        with self._database.read() as session:
            return session.scalar(_of(secret))


def no_project(name: str) -> NotFound:
    """The one answer for a project that is not there and for one that is somebody else's."""
    return NotFound(f"no project {name[:80]!r} for this key; GET /api/v1/projects lists those it may see")


def _live() -> Select[KeyRow]:
    return select(KeyRow).where(KeyRow.revoked_at.is_(None))


def _of(secret: str) -> Select[KeyRow]:
    return select(KeyRow).where(KeyRow.digest == digest_of_secret(secret))


def _project(session: Session, name: str) -> ProjectRow:
    row = session.get(ProjectRow, name)
    if row is None:
        raise no_project(name)
    return row


def _one(session: Session, project: str, key_id: str) -> KeyRow:
    _project(session, project)
    row = session.scalar(_live().where(KeyRow.project == project, KeyRow.id == key_id))
    if row is None:
        raise NotFound(f"no key {key_id[:80]!r} in the project {project!r}; GET its keys lists them")
    return row


def _checked_models(models: Iterable[str]) -> list[str]:
    names = sorted({checked_name(model) for model in models})
    if not names:
        raise Malformed(
            "`models` is empty, and such a key could do nothing; leave it out to allow all models"
        )
    return names


def _fresh(session: Session) -> Key:
    key = new_key()
    while session.get(KeyRow, key.id) is not None:  # ids are short enough to repeat once in a great while
        key = new_key()
    return key


def _row(key: Key, project: str, role: Role, name: str, models: list[str] | None) -> KeyRow:
    now = datetime.now(UTC)
    return KeyRow(
        id=key.id, digest=key.digest, name=name, role=role, project=project, models=models, created_at=now
    )


def _record(row: KeyRow) -> KeyRecord:
    models = None if row.models is None else tuple(row.models)
    return KeyRecord(row.id, row.name, row.role, row.project, models, row.created_at)


def _grant(row: KeyRow) -> KeyGrant:
    models = None if row.models is None else frozenset(row.models)
    return KeyGrant(row.digest, row.id, row.project, permissions_of(row.role), models)
