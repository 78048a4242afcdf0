"""Blobs: bytes that go up before they are published, and come down to the nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, BinaryIO

import anyio.from_thread
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from forebay.control.hub.bodies.registry import BlobAnswer, CollectedAnswer
from forebay.control.hub.border import allow_body
from forebay.control.hub.collecting import GRACE_S, collect_blobs
from forebay.control.hub.guard import allowed, in_project
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Hub
from forebay.control.store import Blobs
from forebay.core import Permission
from forebay.core.artifact import checked_digest
from forebay.core.errors import Broken, NotFound

router = APIRouter(prefix="/api/v1", tags=["blobs"])

_CHUNK_BYTES = 1 << 20
_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
BYTES_ANSWER: dict[int | str, dict[str, Any]] = {200: {"description": "The bytes", "content": _BYTES}}
_IS_PUT: dict[int | str, dict[str, Any]] = {
    200: {"description": "It was there already", "model": BlobAnswer},
    201: {"description": "It is kept now", "model": BlobAnswer},
}


@router.head(
    "/projects/{project}/blobs/{sha256}",
    dependencies=[Depends(in_project(Permission.PUBLISH))],
    responses={200: {"description": "It is there", "content": {}}},
    response_class=Response,
)
def find_blob(project: str, sha256: str, hub: Hub) -> Response:  # noqa: ARG001 (the guard reads it)
    """Whether a blob is there and need not be uploaded; it stays for a day at least from now on."""
    size = hub.blobs.touch(sha256)
    if size is None:
        raise NotFound(f"there is no blob {sha256}; upload it")
    return Response(headers={"Content-Length": str(size)})


@router.put(
    "/projects/{project}/blobs/{sha256}",
    status_code=201,
    dependencies=[Depends(in_project(Permission.PUBLISH))],
    responses=problems(507) | _IS_PUT,
    openapi_extra={"requestBody": {"required": True, "content": _BYTES}},
)
async def put_blob(
    project: str,  # noqa: ARG001 (the guard reads it)
    sha256: str,
    request: Request,
    response: Response,
    hub: Hub,
) -> BlobAnswer:
    """Upload bytes under their SHA-256; in a stream, so that they may be large. Twice does no harm."""
    checked_digest(sha256)
    limit = request.app.state.limits.blob_bytes
    allow_body(request, limit)
    known, size = await anyio.to_thread.run_sync(
        _keep, hub.blobs, sha256, request.stream(), limit, limiter=request.app.state.uploads
    )
    response.status_code = 200 if known == size else 201
    return BlobAnswer(sha256=sha256, size_bytes=size)


@router.get(
    "/blobs/{sha256}",
    dependencies=[Depends(allowed(Permission.NODE))],
    responses=BYTES_ANSWER,
    response_class=StreamingResponse,
)
def get_blob(sha256: str, hub: Hub) -> StreamingResponse:
    """The bytes of a blob, for a node that serves them."""
    return streamed(hub, sha256)


@router.post("/blobs/collect", dependencies=[Depends(allowed(Permission.PROJECTS))])
def collect_blobs_now(
    hub: Hub, older_than_s: Annotated[float, Query(ge=0, description="Younger blobs stay.")] = GRACE_S
) -> CollectedAnswer:
    """Remove the blobs that no active version and no unfinished job refers to; the hub does so every hour."""
    return CollectedAnswer.model_validate(collect_blobs(hub, older_than_s))


def streamed(hub: Hub, sha256: str, size_bytes: int | None = None, name: str = "") -> StreamingResponse:
    """The bytes of a blob; raises `NotFound`, and `Broken` if they are no longer *size_bytes*."""
    found = hub.blobs.size(sha256)
    if size_bytes is not None and found != size_bytes:
        raise Broken(f"the stored file {sha256} is damaged: upload it again, which mends it")
    file = hub.blobs.open(sha256)
    headers = {"Content-Length": str(found), "ETag": f'"{sha256}"', "X-Content-Type-Options": "nosniff"}
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return StreamingResponse(_chunks(file), media_type="application/octet-stream", headers=headers)


def _keep(
    blobs: Blobs, sha256: str, stream: AsyncIterator[bytes], limit_bytes: int
) -> tuple[int | None, int]:
    """The size of the blob before, and now; in a thread, which fetches each chunk from the event loop."""

    def chunks() -> Iterator[bytes]:
        while (chunk := anyio.from_thread.run(anext, stream, None)) is not None:
            yield chunk

    known = blobs.size(sha256)
    return known, blobs.put(chunks(), sha256, limit_bytes=limit_bytes)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
