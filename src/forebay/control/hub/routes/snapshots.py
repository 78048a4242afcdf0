"""What nodes serve from: snapshots and artifacts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from forebay.control.deploy import Watch
from forebay.control.hub.guard import allowed
from forebay.control.hub.services import Hub, caller
from forebay.core import Permission

router = APIRouter(prefix="/api/v1", tags=["nodes"], dependencies=[Depends(allowed(Permission.NODE))])

_SNAPSHOT: dict[str, Any] = {
    "hub": "5f0c0ffee5f0c0ff",
    "number": 17,
    "keys": [{"digest": "9f86…", "key_id": "0a1b2c3d", "project": "default", "permissions": ["predict"]}],
    "deployments": [
        {"project": "default", "model": "digits", "targets": [{"version": 1, "artifact": "2c26…"}]}
    ],
}
_MANIFEST: dict[str, Any] = {"files": [{"path": "model.onnx", "size_bytes": 48120, "sha256": "9f86…"}]}


def _json(description: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"description": description, "content": content}


@router.get(
    "/nodes/{name}/snapshot",
    response_class=Response,
    responses={200: _json("The newest snapshot", _SNAPSHOT), 204: {"description": "Nothing new"}},
)
async def wait_for_snapshot(
    name: str,  # noqa: ARG001 (stands in the log)
    request: Request,
    after: Annotated[int, Query(ge=0, description="The number of the snapshot that the node has.")] = 0,
    hub: Annotated[str, Query(description="The database that it is of.")] = "",
    wait_s: Annotated[float, Query(ge=0, le=60, description="How long to wait for news.")] = 25.0,
) -> Response:
    """Wait for a snapshot that is newer than the node's own, or of another database."""
    watch: Watch = request.app.state.watch
    found = await watch.newer(hub, after, wait_s)
    if found is None:
        return Response(status_code=204)
    await run_in_threadpool(_still_allowed, request)
    return Response(found.body, media_type="application/json")


def _still_allowed(request: Request) -> None:
    """Ask again: what has changed while the node waited may be that its key was revoked."""
    caller(request).require(Permission.NODE)


@router.get(
    "/artifacts/{digest}",
    response_class=Response,
    responses={200: _json("The manifest, byte by byte as it was hashed", _MANIFEST)},
)
def get_artifact(digest: str, hub: Hub) -> Response:
    """The manifest of an artifact: the SHA-256 of these very bytes is its digest."""
    return Response(hub.registry.manifest(digest).encode(), media_type="application/json")
