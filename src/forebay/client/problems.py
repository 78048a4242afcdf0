"""What a server's error body says, as the same `ForebayError` that the server raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from forebay.core import errors
from forebay.core.errors import Broken, ForebayError, Refused

_PREFIX = "urn:forebay:problem:"


def error_from(status: int, body: bytes, headers: dict[str, str]) -> ForebayError:
    """The error that *body* tells of, whichever of our shapes it has; never empty, whatever a proxy sent.

    >>> error_from(404, b'{"type": "urn:forebay:problem:not-found", "detail": "no model"}', {})
    NotFound('no model')
    >>> error_from(502, b'<html>nginx</html>', {})
    Died('the server answered with the status 502 and no explanation')
    """
    code, message = _told(body)
    kind = _BY_CODE.get(code) or _kind_of_status(status)
    text = message or f"the server answered with the status {status} and no explanation"
    return kind(text, retry_after_s=_seconds(headers.get("retry-after")))


def _told(body: bytes) -> tuple[str, str]:
    """The code and the sentence of a hub's problem, of a node's plain door, or of `/v2`."""
    try:
        told: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "", ""
    if not isinstance(told, dict):
        return "", ""
    inner = told.get("error", told)
    if isinstance(inner, str):
        return "", inner
    if not isinstance(inner, dict):
        return "", ""
    code = str(inner.get("code") or inner.get("type") or "").removeprefix(_PREFIX)
    return code, str(inner.get("message") or inner.get("detail") or inner.get("title") or "")


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not sent by any of our servers."""
    try:
        return None if retry_after is None else max(0.0, float(retry_after))
    except ValueError:
        return None


def _kinds(kind: type[ForebayError]) -> Iterator[type[ForebayError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _kinds(child)


_ALL = list(_kinds(ForebayError))
_BY_CODE = {kind("").code: kind for kind in _ALL}
_BY_STATUS = {kind.status: kind for kind in reversed(_ALL) if kind not in (ForebayError, Refused, Broken)}


def _kind_of_status(status: int) -> type[ForebayError]:
    family = Refused if status < 500 else Broken
    return _BY_STATUS.get(status, family)
