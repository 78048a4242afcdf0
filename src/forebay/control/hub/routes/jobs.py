"""Jobs: asking for work, looking at it, ending it; publishing is a job too."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from forebay.control.hub.bodies.jobs import EVENT_STREAM, JobAnswer, JobBody, JobList, PublishBody
from forebay.control.hub.guard import allowed, in_project
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Hub
from forebay.control.hub.work.code import check_code
from forebay.control.jobs import JobEvent, JobRecord, Jobs
from forebay.core import Permission, Principal
from forebay.core.errors import NotFound

router = APIRouter(prefix="/api/v1", tags=["jobs"])

_LOOK_S = 0.2
_SILENCE_S = 15.0
_EVENTS = 500
Publisher = Annotated[Principal, Depends(in_project(Permission.PUBLISH))]
Reader = Annotated[Principal, Depends(allowed(Permission.READ))]
Changer = Annotated[Principal, Depends(allowed(Permission.PUBLISH))]


def _readable(job_id: str, who: Reader, hub: Hub) -> JobRecord:
    """The job of the path, if the caller may look at it; somebody else's is as good as none."""
    job = hub.jobs.get(job_id)
    if who.project != job.project and Permission.PROJECTS not in who.permissions:
        raise NotFound(f"there is no job {job_id!r}")
    return job


def _changeable(_who: Changer, job: Annotated[JobRecord, Depends(_readable)]) -> JobRecord:
    return job


Read = Annotated[JobRecord, Depends(_readable)]
Changed = Annotated[JobRecord, Depends(_changeable)]


@router.post("/projects/{project}/jobs", status_code=HTTPStatus.ACCEPTED)
def submit_job(project: str, body: JobBody, who: Publisher, hub: Hub, response: Response) -> JobAnswer:
    """Ask for work. It goes on whatever becomes of this connection, or of the hub."""
    for model in _models_of(body):
        who.require(Permission.PUBLISH, model)
    if body.kind == "publish":
        check_code(hub.blobs, body.request, who)
    if body.kind == "script":
        who.require(Permission.CODE)
    return _submitted(hub.jobs, project, body.kind, body.request, who, response)


def _models_of(body: JobBody) -> list[str]:
    """The models that a job works on: the one that it adds a version to, and the one that it begins with."""
    words = [body.request.get(word) for word in ("name", "model")]
    return [re.split("[:@]", word, maxsplit=1)[0] for word in words if isinstance(word, str) and word]


@router.post("/projects/{project}/models/{model}/versions", status_code=HTTPStatus.ACCEPTED)
def publish_version(
    project: str, model: str, body: PublishBody, who: Publisher, hub: Hub, response: Response
) -> JobAnswer:
    """Publish an artifact whose files have been uploaded: the job checks it and registers a version."""
    request = body.model_dump() | {"name": model}
    check_code(hub.blobs, request, who)
    return _submitted(hub.jobs, project, "publish", request, who, response)


@router.get("/projects/{project}/jobs", dependencies=[Depends(in_project(Permission.READ))])
def list_jobs(
    project: str, hub: Hub, limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100
) -> JobList:
    """The jobs of a project, newest first."""
    return JobList.model_validate({"items": list(hub.jobs.list(project, limit))})


@router.get("/jobs/{job_id}")
def get_job(job: Annotated[JobRecord, Depends(_readable)]) -> JobAnswer:
    """One job as it is now."""
    return JobAnswer.model_validate(job)


@router.get("/jobs/{job_id}/log", response_class=PlainTextResponse)
def get_job_log(job: Annotated[JobRecord, Depends(_readable)], hub: Hub) -> PlainTextResponse:
    """The end of what the job's processes wrote to standard error."""
    return PlainTextResponse(hub.jobs.log(job.id))


@router.get(
    "/jobs/{job_id}/report",
    response_class=Response,
    responses={200: {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}}},
)
def get_job_report(job: Annotated[JobRecord, Depends(_readable)], hub: Hub) -> Response:
    """The page that a compression leaves, kept promise or not."""
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.html"'}
    return Response(hub.jobs.report(job.id), media_type="text/html", headers=headers)


@router.post("/jobs/{job_id}/cancel", responses=problems(409))
def cancel_job(job: Annotated[JobRecord, Depends(_changeable)], hub: Hub) -> JobAnswer:
    """Cancel a job: at once if it waits, as soon as its process has ended if it runs."""
    return JobAnswer.model_validate(hub.jobs.cancel(job.id))


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"description": "Events", "content": {"text/event-stream": {"example": EVENT_STREAM}}}},
)
async def stream_job_events(
    job: Annotated[JobRecord, Depends(_readable)],
    request: Request,
    hub: Hub,
    after: Annotated[int, Query(ge=0, description="Only events behind this number.")] = 0,
    last_event_id: Annotated[int, Header(ge=0, description="As `after`; browsers send it.")] = 0,
    follow: Annotated[bool, Query(description="Wait for more until the job ends.")] = True,
) -> StreamingResponse:
    """What a job tells, from its beginning or from where you were; ends when the job does."""
    stopping: asyncio.Event = request.app.state.stopping
    events = _stream(hub.jobs, job.id, max(after, last_event_id), stopping, follow=follow)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _submitted(
    jobs: Jobs, project: str, kind: str, request: dict[str, Any], who: Principal, response: Response
) -> JobAnswer:
    job_id = jobs.submit(project, kind, request, who.key_id)
    response.headers["Location"] = f"/api/v1/jobs/{job_id}"
    return JobAnswer.model_validate(jobs.get(job_id))


async def _stream(
    jobs: Jobs, job_id: str, after: int, stopping: asyncio.Event, *, follow: bool
) -> AsyncIterator[bytes]:
    spoke_s = time.monotonic()
    while not stopping.is_set():
        events = await anyio.to_thread.run_sync(jobs.events, job_id, after, _EVENTS)
        for event in events:
            after = event.seq
            yield b"id: %d\ndata: %s\n\n" % (event.seq, msgspec.json.encode(event.flat()))
        if _ended(events) or not (follow or len(events) == _EVENTS):
            return
        now_s = time.monotonic()
        if events:
            spoke_s = now_s
        elif now_s - spoke_s > _SILENCE_S:
            spoke_s = now_s
            yield b": still at work\n\n"  # so that nobody between takes the connection for dead
        if len(events) < _EVENTS:
            await _pause(stopping)


def _ended(events: Sequence[JobEvent]) -> bool:
    return any(event.kind == "state" and event.body["state"] not in ("queued", "running") for event in events)


async def _pause(stopping: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_S):
            await stopping.wait()
