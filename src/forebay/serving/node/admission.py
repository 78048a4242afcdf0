"""Who is calling, and may they: refuse before any work. Memory only."""

from __future__ import annotations

import base64
import binascii
import time
from hashlib import sha256
from typing import Protocol

from forebay.core import KeyGrant, Permission, Principal
from forebay.core.errors import Unauthenticated
from forebay.serving.node.remote import Remote

_SEEN = 10_000
_SIGNED = b"AWS4-HMAC-SHA256 "  # no two such headers are the same, so they are not worth remembering
_HOW = "send a key as 'Authorization: Bearer KEY'"


class Guarded(Protocol):
    """A way in: the permission that it takes, and the protocol that it speaks."""

    @property
    def permission(self) -> Permission | None:
        """What a caller has to have; None if nobody is asked."""

    @property
    def protocol(self) -> str:
        """One of `core.PROTOCOLS`."""


class Admission:
    """The keys of one snapshot; a new snapshot brings a new one, so a revoked key is gone at once.

    *used* learns when each key was seen (Unix time), from one `begin_round` to the next only once, so that
    telling costs a request nothing.
    """

    def __init__(self, grants: tuple[KeyGrant, ...] = (), used: dict[str, float] | None = None) -> None:
        self._principals = {bytes.fromhex(grant.digest): grant.principal() for grant in grants}
        self._seen: dict[bytes, Principal] = {}
        self._used = {} if used is None else used

    def begin_round(self) -> None:
        """Tell anew of every key that is used from now on."""
        self._seen.clear()

    def identify(self, authorization: bytes | None) -> Principal:
        """Whom the `Authorization` header names; raises `Unauthenticated`."""
        if authorization is None:
            raise Unauthenticated(f"this needs a key; {_HOW}")
        principal = self._seen.get(authorization)
        if principal is None:
            principal = self._principals.get(sha256(_secret(authorization)).digest())
            if principal is None:
                raise Unauthenticated(f"this key is not known here, or was revoked; {_HOW}")
            self._used[principal.key_id] = time.time()
            # Only keys that are good get in: nobody can fill it by guessing.
            if len(self._seen) < _SEEN and not authorization.startswith(_SIGNED):
                self._seen[authorization] = principal
        return principal

    def admit(
        self, authorization: bytes | None, door: Guarded, model: str | None, remote: Remote
    ) -> Principal:
        """The caller, if they may pass *door*; raises `Unauthenticated` or `Forbidden`."""
        principal = self._seen.get(authorization) if authorization is not None else None
        if principal is None:
            principal = self.identify(authorization)
        if principal.bounds is not None or door.permission not in principal.permissions:
            assert door.permission is not None
            principal.check_bounds(door.protocol, remote.address)
            principal.require(door.permission, model)
        return principal


def _secret(authorization: bytes) -> bytes:
    """The key inside the header: Bearer, Basic (as password, or as user with no password), or AWS's.

    AWS's clients sign with a secret and send the name of their key, which is ours. The signature cannot be
    checked by whoever knows a key by its digest only: it adds nothing to a key that is sent as it is.
    """
    if authorization.startswith(_SIGNED):
        return authorization.partition(b"Credential=")[2].partition(b"/")[0]
    scheme, _, rest = authorization.partition(b" ")
    rest = rest.strip()
    kind = scheme.lower()
    if kind == b"bearer":
        return rest
    if kind != b"basic":
        raise Unauthenticated(f"unknown authorization scheme; {_HOW}")
    try:
        user, _, password = base64.b64decode(rest, validate=True).partition(b":")
    except binascii.Error:
        raise Unauthenticated("the Basic authorization is not valid base64") from None
    return password or user
