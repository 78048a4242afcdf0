"""Who is calling: principals, and the keys that name them."""

from __future__ import annotations

import hashlib
import secrets
import time
from enum import StrEnum

import msgspec

from forebay.core.bounds import Bounds, covers, is_within
from forebay.core.errors import Forbidden, Unauthenticated

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
    BILLING = "billing"
    LIMITS = "limits"
    OWN = "own"


class Principal(msgspec.Struct, frozen=True):
    """A caller. Who has no `bounds` may ask every model of the project, from anywhere."""

    key_id: str
    project: str
    permissions: frozenset[Permission]
    bounds: Bounds | None = None

    def require(self, permission: Permission, model: str | None = None) -> None:
        """Raise `Forbidden` unless this caller has *permission* (on *model*)."""
        if permission not in self.permissions:
            raise Forbidden(f"this key may not {permission}; ask for one that may, or use the admin key")
        if model is not None and not self.may_use(model):
            raise Forbidden(f"this key may not use the model {model!r}")

    def may_use(self, model: str) -> bool:
        """Whether *model*, if the project has it, is one of those that this caller may ask."""
        bounds = self.bounds
        return bounds is None or bounds.models is None or covers(bounds.models, model)

    def check_bounds(self, protocol: str, address: str) -> None:
        """Raise unless this caller's key has not ended, and may come by *protocol* and from *address*."""
        bounds = self.bounds
        if bounds is None:
            return
        if bounds.until_s is not None and time.time() >= bounds.until_s:
            raise Unauthenticated("this key has expired; ask the project's owner for another")
        if bounds.protocols is not None and protocol not in bounds.protocols:
            allowed = ", ".join(bounds.protocols)
            raise Forbidden(f"this key is for the protocols {allowed} and not for {protocol or 'this one'}")
        if bounds.networks is not None and not is_within(address, bounds.networks):
            raise Forbidden(f"this key may not be used from {address or 'here'}; its networks are others")


class Key(msgspec.Struct, frozen=True):
    """A freshly made key. `secret` is shown once; only `digest` is kept."""

    id: str
    secret: str
    digest: str


def new_key(key_id: str = "") -> Key:
    """A key with 256 bits of randomness: `fb-<id>-<random>`; another secret of *key_id*, if it is given."""
    key_id = key_id or secrets.token_hex(4)
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
