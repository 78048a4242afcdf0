"""A secret in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forebay.core.errors import Broken, Conflict
from forebay.core.principal import key_id_of

_OWNER_ONLY = 0o600


@contextmanager
def plainly(path: Path) -> Iterator[None]:
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
