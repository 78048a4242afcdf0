"""Who is calling, and may they: refuse before any work. Memory only."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256

from forebay.core import KeyGrant, Permission, Principal
from forebay.core.errors import Unauthenticated

_SEEN = 10_000
_HOW = "send a key as 'Authorization: Bearer KEY'"


class Admission:
    """The keys of one snapshot; a new snapshot brings a new one, so a revoked key is gone at once."""

    def __init__(self, grants: tuple[KeyGrant, ...] = ()) -> None:
        self._principals = {bytes.fromhex(grant.digest): grant.principal() for grant in grants}
        self._seen: dict[bytes, Principal] = {}

    def identify(self, authorization: bytes | None) -> Principal:
        """Whom the `Authorization` header names; raises `Unauthenticated`."""
        if authorization is None:
            raise Unauthenticated(f"this needs a key; {_HOW}")
        principal = self._seen.get(authorization)
        if principal is None:
            principal = self._principals.get(sha256(_secret(authorization)).digest())
            if principal is None:
                raise Unauthenticated(f"this key is not known here, or was revoked; {_HOW}")
            if len(self._seen) < _SEEN:  # only keys that are good get in: nobody can fill it by guessing
                self._seen[authorization] = principal
        return principal

    def admit(self, authorization: bytes | None, permission: Permission, model: str | None) -> Principal:
        """The caller, if they may do this; raises `Unauthenticated` or `Forbidden`."""
        principal = self._seen.get(authorization) if authorization is not None else None
        if principal is None:
            principal = self.identify(authorization)
        if principal.models is not None or permission not in principal.permissions:
            principal.require(permission, model)
        return principal


def _secret(authorization: bytes) -> bytes:
    """The key inside a Bearer or a Basic header (as password, or as user with no password)."""
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
