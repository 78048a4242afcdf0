"""Bodies that are no JSON of pydantic's."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request


async def _read(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_read)]
"""The whole body, as it came; the application's border keeps it small."""


def body_of(media_type: str, example: Any, description: str) -> dict[str, Any]:
    """The OpenAPI of a route that takes a `RawBody`."""
    content = {media_type: {"schema": {"description": description}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}
