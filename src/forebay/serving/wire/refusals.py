"""Errors in the words of each family of protocols that has no file of its own for them."""

from __future__ import annotations

import orjson

from forebay.core.errors import ForebayError, message_for

_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_exceeded"}
_OPENAI_CODES = {401: "invalid_api_key", 404: "model_not_found"}


def said(error: ForebayError) -> str:
    """What the caller may read, as text that UTF-8 can hold."""
    return message_for(error).encode(errors="replace").decode()


def openai_error(error: ForebayError) -> bytes:
    """*error* as OpenAI's clients read it."""
    kind = _OPENAI_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    code = _OPENAI_CODES.get(error.status)
    return orjson.dumps({"error": {"message": said(error), "type": kind, "param": None, "code": code}})
