"""The rows of keys and of their secrets: finding the live ones, and what they grant."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from forebay.control.access.permissions import Role
from forebay.control.access.records import KeyRecord
from forebay.control.access.scope import KeyScope
from forebay.control.access.tables import KeyRow, SecretRow
from forebay.core import Key, KeyGrant, digest_of_secret, new_key

_SCOPES = msgspec.json.Decoder(KeyScope)


def live(now: datetime) -> ColumnElement[bool]:
    """The keys that are neither revoked nor expired at *now*."""
    return and_(KeyRow.revoked_at.is_(None), or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > now))


def live_secrets(now: datetime) -> Select[KeyRow, SecretRow]:
    """Every secret that lets somebody in at *now*, with its key."""
    lasting = or_(SecretRow.until.is_(None), SecretRow.until > now)
    joined = select(KeyRow, SecretRow).join(SecretRow, SecretRow.key_id == KeyRow.id)
    return joined.where(live(now), lasting)


def holder_of(session: Session, secret: str) -> tuple[KeyRow, SecretRow] | None:
    """The key that *secret* is or was one of."""
    joined = select(KeyRow, SecretRow).join(SecretRow, SecretRow.key_id == KeyRow.id)
    found = session.execute(joined.where(SecretRow.digest == digest_of_secret(secret))).first()
    return None if found is None else (found[0], found[1])


def fresh_key(session: Session) -> Key:
    """A key whose id nobody has."""
    key = new_key()
    while session.get(KeyRow, key.id) is not None:  # ids are short enough to repeat once in a great while
        key = new_key()
    return key


def add_key(
    session: Session,
    key: Key,
    project: str,
    role: Role,
    name: str,
    scope: KeyScope,
    now: datetime,
    expires_at: datetime | None = None,
) -> KeyRow:
    """Keep *key*, without its secret."""
    text = msgspec.json.encode(scope).decode()
    row = KeyRow(
        id=key.id,
        name=name,
        role=role,
        project=project,
        scope=text,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    session.add(SecretRow(digest=key.digest, key_id=key.id, made_at=now))
    return row


def scope_of(row: KeyRow) -> KeyScope:
    """What narrows this key."""
    return _SCOPES.decode(row.scope)


def record_of(row: KeyRow) -> KeyRecord:
    """This key, as it is shown."""
    scope = scope_of(row)
    return KeyRecord(
        id=row.id,
        name=row.name,
        role=row.role,
        project=row.project,
        models=scope.models,
        actions=scope.actions,
        protocols=scope.protocols,
        networks=scope.networks,
        created_at=row.created_at,
        expires_at=row.expires_at,
        rotated_at=row.rotated_at,
        used_at=row.used_at,
    )


def grant_of(key: KeyRow, secret: SecretRow) -> KeyGrant:
    """What whoever shows this secret may do."""
    scope = scope_of(key)
    ends = [moment for moment in (key.expires_at, secret.until) if moment is not None]
    until = min(ends) if ends else None
    return KeyGrant(secret.digest, key.id, key.project, scope.permissions(key.role), scope.bounds(until))
