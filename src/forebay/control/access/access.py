"""Projects and keys: making, finding, rotating and revoking them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from forebay.control.access.credentials import secret_in
from forebay.control.access.keyfile import ensure_key_file
from forebay.control.access.keyrows import (
    add_key,
    fresh_key,
    grant_of,
    live,
    live_secrets,
    record_of,
    scope_of,
)
from forebay.control.access.lastuse import LastUse
from forebay.control.access.permissions import Role
from forebay.control.access.records import KeyRecord, ProjectRecord
from forebay.control.access.scope import KeyScope, checked_scope
from forebay.control.access.tables import KeyRow, ProjectRow, SecretRow
from forebay.control.store import Database, Deed, bump, record_deed
from forebay.core import KeyGrant, Permission, Principal, checked_name, digest_of_secret, new_key
from forebay.core.errors import Conflict, Malformed, NotFound, Unauthenticated

DEFAULT_PROJECT = "default"
EVERYTHING = KeyScope()
_OF_USE_TO_NODES = frozenset({Permission.PREDICT, Permission.OBSERVE, Permission.NODE})
_NAME_CHARS = 200
_LONGEST_OVERLAP = timedelta(days=90)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Access:
    """Who may do what, in one database."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = _utc_now) -> None:
        self._database = database
        self._clock = clock
        self._last_use = LastUse(database)

    def identify(self, authorization: str | None, address: str = "") -> Principal:
        """The holder of the live key in an `Authorization` header that came from the IP *address*.

        The key is found by its digest, so that the time taken says nothing about how much of a guess
        was right. Nothing is cached: a revoked key is refused from the next request on. Raises
        `Unauthenticated`, and `Forbidden` for a key that is for other networks or protocols.
        """
        secret = secret_in(authorization)
        if secret is None:
            raise Unauthenticated(
                "send a key: the header `Authorization: Bearer KEY`, or Basic with the key as password"
            )
        now = self._clock()
        with self._database.read() as session:
            wanted = live_secrets(now).where(SecretRow.digest == digest_of_secret(secret))
            found = session.execute(wanted).first()
        if found is None:
            raise Unauthenticated(
                "this key is unknown, expired or revoked; ask the project's owner for another"
            )
        who = grant_of(found[0], found[1]).principal()
        who.check_bounds("api", address)
        self._last_use.note({who.key_id: now.timestamp()})
        return who

    def note_used(self, used: Mapping[str, float]) -> None:
        """Note when nodes have seen keys (Unix time); a time that lies ahead counts as now."""
        now_s = self._clock().timestamp()
        self._last_use.note({key_id: min(time_s, now_s) for key_id, time_s in used.items()})

    def write_last_use(self) -> None:
        """Write down which keys were used since the last time; raises `NotReady`."""
        self._last_use.write()

    def grants(self, session: Session) -> tuple[KeyGrant, ...]:
        """Every live secret that a node has to know, in a fixed order."""
        rows = session.execute(live_secrets(self._clock()).order_by(KeyRow.id, SecretRow.digest))
        granted = (grant_of(key, secret) for key, secret in rows)
        return tuple(grant for grant in granted if grant.permissions & _OF_USE_TO_NODES)

    def create_key(
        self,
        project: str,
        role: Role,
        name: str = "",
        scope: KeyScope = EVERYTHING,
        expires_at: datetime | None = None,
    ) -> tuple[KeyRecord, str]:
        """A new key of *project*, and its secret, which is nowhere else; raises `NotFound`, `Malformed`."""
        scope = checked_scope(scope, role)
        if len(name) > _NAME_CHARS or not name.isprintable():
            raise Malformed(f"a key's name has at most {_NAME_CHARS} printable characters")
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise Malformed("`expires_at` has passed already, and such a key could do nothing")
        with self._database.write() as session:
            project_row(session, project)
            key = fresh_key(session)
            row = add_key(session, key, project, role, name, scope, now, expires_at)
            _tell(session, project, "key.created", key.id, {"role": role, "name": name, "scope": row.scope})
            bump(session)
        return record_of(row), key.secret

    def keys(self, project: str) -> list[KeyRecord]:
        """The live keys of *project*, oldest first; raises `NotFound`."""
        with self._database.read() as session:
            project_row(session, project)
            wanted = select(KeyRow).where(live(self._clock()), KeyRow.project == project)
            rows = session.scalars(wanted.order_by(KeyRow.created_at, KeyRow.id))
            return [self._record(row) for row in rows]

    def key(self, project: str, key_id: str) -> KeyRecord:
        """One live key of *project*; raises `NotFound`."""
        with self._database.read() as session:
            return self._record(self._one(session, project, key_id))

    def scope(self, project: str, key_id: str) -> KeyScope:
        """What narrows one live key of *project*; raises `NotFound`."""
        with self._database.read() as session:
            return scope_of(self._one(session, project, key_id))

    def revoke_key(self, project: str, key_id: str) -> None:
        """Refuse this key from now on, all its secrets; raises `NotFound` unless *project* has it."""
        with self._database.write() as session:
            row = self._one(session, project, key_id)
            row.revoked_at = self._clock()
            _tell(session, project, "key.revoked", key_id, {"role": row.role, "name": row.name})
            bump(session)

    def rotate_key(self, project: str, key_id: str, overlap: timedelta) -> tuple[KeyRecord, str]:
        """Another secret of the same key; those before it are good for *overlap* more.

        Raises `NotFound`, and `Malformed` for an overlap that is negative or longer than 90 days.
        """
        if not timedelta() <= overlap <= _LONGEST_OVERLAP:
            raise Malformed(f"an overlap is from 0 s to {_LONGEST_OVERLAP.days} days long")
        now = self._clock()
        with self._database.write() as session:
            row = self._one(session, project, key_id)
            mine, end = SecretRow.key_id == key_id, now + overlap
            session.execute(delete(SecretRow).where(mine, SecretRow.until <= now))
            session.execute(update(SecretRow).where(mine, SecretRow.until.is_(None)).values(until=end))
            session.execute(update(SecretRow).where(mine, SecretRow.until > end).values(until=end))
            key = new_key(key_id)
            session.add(SecretRow(digest=key.digest, key_id=key_id, made_at=now))
            row.rotated_at = now
            _tell(session, project, "key.rotated", key_id, {"old_until": end.isoformat()})
            bump(session)
        return self._record(row), key.secret

    def create_project(self, name: str) -> ProjectRecord:
        """A new project; raises `Conflict` if there is one of this name."""
        row = ProjectRow(name=checked_name(name, "project"), created_at=self._clock())
        try:
            with self._database.write() as session:
                session.add(row)
                _tell(session, row.name, "project.created", row.name, {})
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
            row = project_row(session, name)
            return ProjectRecord(row.name, row.created_at)

    def ensure_key_file(self, path: Path, role: Role) -> str:
        """The id of the live key in *path*, made if need be; raises `Conflict` for another role's key."""
        return ensure_key_file(self._database, path, role, DEFAULT_PROJECT, self._clock())

    def _record(self, row: KeyRow) -> KeyRecord:
        return replace(record_of(row), used_at=self._last_use.of(row.id, row.used_at))

    def _one(self, session: Session, project: str, key_id: str) -> KeyRow:
        project_row(session, project)
        mine = (KeyRow.project == project, KeyRow.id == key_id)
        row = session.scalar(select(KeyRow).where(live(self._clock()), *mine))
        if row is None:
            raise NotFound(f"no key {key_id[:80]!r} in the project {project!r}; GET its keys lists them")
        return row


def _tell(session: Session, project: str, action: str, subject: str, detail: dict[str, str]) -> None:
    record_deed(session, Deed(project, "", action, subject, detail), instead=True)


def no_project(name: str) -> NotFound:
    """The one answer for a project that is not there and for one that is somebody else's."""
    return NotFound(f"no project {name[:80]!r} for this key; GET /api/v1/projects lists those it may see")


def project_row(session: Session, name: str) -> ProjectRow:
    """The row of the project *name*; raises `NotFound`."""
    row = session.get(ProjectRow, name)
    if row is None:
        raise no_project(name)
    return row
