"""Who is calling: principals, and the keys that name them."""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum

import msgspec

from forebay.core.errors import Forbidden

_PREFIX = "fb"


class Permission(StrEnum):
    """Everything that can be allowed; who has which is a table in `forebay.control.access`."""

    PREDICT = "predict"
    OBSERVE = "observe"
    READ = "read"
    PUBLISH = "publish"
    CODE = "code"
    DEPLOY = "deploy"
    KEYS = "keys"
    USAGE = "usage"
    PROJECTS = "projects"
    NODE = "node"
    OVERRIDE = "override"
    AUDIT = "audit"


class Principal(msgspec.Struct, frozen=True):
    """A caller. `models` limits the models they may ask; None allows all of the project's."""

    key_id: str
    project: str
    permissions: frozenset[Permission]
    models: frozenset[str] | None = None

    def require(self, permission: Permission, model: str | None = None) -> None:
        """Raise `Forbidden` unless this caller has *permission* (on *model*)."""
        if permission not in self.permissions:
            raise Forbidden(f"this key may not {permission}; ask for one that may, or use the admin key")
        if model is not None and self.models is not None and model not in self.models:
            raise Forbidden(f"this key may not use the model {model!r}")


class Key(msgspec.Struct, frozen=True):
    """A freshly made key. `secret` is shown once; only `digest` is kept."""

    id: str
    secret: str
    digest: str


def new_key() -> Key:
    """A key with 256 bits of randomness: `fb-<id>-<random>`."""
    key_id = secrets.token_hex(4)
    secret = f"{_PREFIX}-{key_id}-{secrets.token_urlsafe(32)}"
    return Key(key_id, secret, digest_of_secret(secret))


def key_id_of(secret: str) -> str | None:
    """The public part of *secret*; None if it is not shaped like a key.

    >>> key_id_of("fb-0a1b2c3d-xyz")
    '0a1b2c3d'
    """
    parts = secret.split("-", 2)
    return parts[1] if len(parts) == 3 and parts[0] == _PREFIX else None


def digest_of_secret(secret: str) -> str:
    """What is stored of a key. The secret is random, so that a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()
