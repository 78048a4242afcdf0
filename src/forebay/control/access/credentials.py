"""The secret in an `Authorization` header."""

from __future__ import annotations

import base64
import binascii


def secret_in(authorization: str | None) -> str | None:
    """The key that *authorization* carries; None if it carries none.

    `Bearer KEY`, or Basic with the key as password (any user name) or as user name without password.

    >>> secret_in("Bearer fb-0a1b2c3d-xyz")
    'fb-0a1b2c3d-xyz'
    >>> secret_in("Basic " + base64.b64encode(b"ada:fb-0a1b2c3d-xyz").decode())
    'fb-0a1b2c3d-xyz'
    >>> secret_in("Basic " + base64.b64encode(b"fb-0a1b2c3d-xyz:").decode())
    'fb-0a1b2c3d-xyz'
    """
    scheme, _, credentials = (authorization or "").strip().partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer":
        return credentials or None
    if scheme.lower() == "basic":
        return _password(credentials)
    return None


def _password(credentials: str) -> str | None:
    try:
        user, _, password = base64.b64decode(credentials, validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return None
    return password or user or None
