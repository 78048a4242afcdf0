"""Bodies that are no JSON of ours, read up to a limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request

from forebay.core.errors import TooLarge


def raw_body(limit_bytes: int) -> Callable[[Request], Awaitable[bytes]]:
    """A dependency: the body; raises `TooLarge` as soon as it is clear that there is more than the limit."""

    async def read(request: Request) -> bytes:
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit_bytes:
            raise _too_large(limit_bytes)
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            chunks.append(chunk)
        return b"".join(chunks)

    return read


def body_of(media_type: str, example: Any, description: str) -> dict[str, Any]:
    """The OpenAPI of a body that is read with `raw_body`."""
    content = {media_type: {"schema": {"description": description}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit_bytes:,} bytes; send it in parts")
