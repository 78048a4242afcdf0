"""A secret in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from forebay.control.access.keyrows import add_key, holder_of
from forebay.control.access.permissions import Role
from forebay.control.access.scope import KeyScope
from forebay.control.access.tables import KeyRow, SecretRow
from forebay.control.store import Database, bump
from forebay.core import Key, digest_of_secret, key_id_of, new_key
from forebay.core.errors import Broken, Conflict

_OWNER_ONLY = 0o600


def ensure_key_file(database: Database, path: Path, role: Role, project: str, now: datetime) -> str:
    """The id of the live key in *path*, made if need be; raises `Conflict` for another role's key.

    The file comes first and the row second, so a crash between them is mended by the next start, as
    is a database that was made anew under an old file. A key that was revoked or has ended, and a secret
    that was rotated out, is replaced.
    """
    with _plainly(path):
        secret = read_secret(path)
        row = _usable(database, secret, now)
        if row is None:
            row = _register(database, path, role, project, now)
    if row.role != role:
        raise Conflict(f"{path} holds a key of the role {row.role}, not {role}; move it away and start again")
    return row.id


def _usable(database: Database, secret: str | None, now: datetime) -> KeyRow | None:
    if secret is None:
        return None
    with database.read() as session:
        found = holder_of(session, secret)
    return found[0] if found is not None and _is_good(*found, now) else None


def _is_good(key: KeyRow, secret: SecretRow, now: datetime) -> bool:
    ends = (key.revoked_at, key.expires_at, secret.until)
    return all(end is None or end > now for end in ends)


def _register(database: Database, path: Path, role: Role, project: str, now: datetime) -> KeyRow:
    """Make the file's key known; a file whose key is good no more is written anew."""
    with database.write() as session:
        bump(session)  # first: hubs that start at once queue here, and the next finds what the first has made
        secret = read_secret(path)
        found = None if secret is None else holder_of(session, secret)
        if found is not None and _is_good(*found, now):
            return found[0]
        if secret is None or found is not None:
            write_secret(path, new_key().secret, replace=found is not None)
            secret = read_secret(path)
            assert secret is not None
        key = Key(key_id_of(secret) or "", secret, digest_of_secret(secret))
        return add_key(session, key, project, role, path.name, KeyScope(), now)


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """Turn what the operating system says about *path* into `Broken` with a sentence."""
    try:
        yield
    except OSError as error:
        raise Broken(
            f"the key file {path} cannot be read or written ({error.strerror}); "
            "see to the owner, the permissions and the space of its folder"
        ) from error


def read_secret(path: Path) -> str | None:
    """The key in *path*, None if there is no file; raises `Conflict` if the file holds no key.

    A file that others may read is closed to them first.
    """
    try:
        secret = path.read_text("utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    if key_id_of(secret) is None:
        raise Conflict(f"{path} holds no Forebay key; move it away, and a new key is made at the next start")
    if path.stat().st_mode & 0o077:
        path.chmod(_OWNER_ONLY)
    return secret


def write_secret(path: Path, secret: str, *, replace: bool) -> None:
    """Put *secret* in *path*, with mode 0600 from its first moment: all of it or, after a crash, nothing.

    Unless it may *replace*, a file that somebody else has made meanwhile stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
            file.write(f"{secret}\n")
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            with suppress(FileExistsError):
                path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
