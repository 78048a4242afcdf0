"""Jobs: looking, following one to its end, cancelling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from forebay.client.door import AT_ONCE, Door
from forebay.client.progress import NoProgress, Progress, progress_for
from forebay.client.results import Items, Job
from forebay.client.shown import Listing
from forebay.core.errors import Broken, Late, NotReady, Refused

_HUB_AWAY_S = 60.0


class JobFailed(Refused):
    """A job came to a bad end; `job` tells which and why."""

    title = "Job failed"

    def __init__(self, job: Job) -> None:
        why = job.error or f"it was {job.state}"
        super().__init__(f"{job.kind} {job.id} {job.state}: {why}; `forebay jobs log {job.id}` shows its log")
        self.job = job


class StillRunning(KeyboardInterrupt):
    """The wait was interrupted; the job was not."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"stopped waiting; {job_id} goes on: `forebay jobs wait {job_id}` waits again, "
            f"`forebay jobs cancel {job_id}` ends it"
        )
        self.job_id = job_id


class JobEvent(msgspec.Struct, frozen=True):
    """One thing that a job said: `kind` is progress, log, metric, candidate or state; all of it is in `data`.

    A progress has `step`, `fraction` (of that step, 0 to 1) and `text`.
    """

    seq: int
    kind: str
    data: dict[str, Any]


class JobsOf:
    """`hub.jobs`: the slow work of one project."""

    def __init__(self, door: Door, project: str) -> None:
        self._door = door
        self._project = project

    def __call__(self) -> Listing[Job]:
        """The jobs of the project, newest first."""
        found = self._door.ask("GET", f"/api/v1/projects/{self._project}/jobs", Items[Job])
        return Listing(found.items)

    def get(self, job_id: str) -> Job:
        """One job as it is now; raises `NotFound`."""
        return self._door.ask("GET", f"/api/v1/jobs/{job_id}", Job)

    def log(self, job_id: str) -> str:
        """The end of what the job's processes wrote to standard error: what libraries complain about."""
        return self._door.send("GET", f"/api/v1/jobs/{job_id}/log").text

    def report(self, job_id: str) -> bytes:
        """The page that a compression left, whether it kept its promise or not; raises `NotFound`."""
        return self._door.send("GET", f"/api/v1/jobs/{job_id}/report").content

    def cancel(self, job_id: str) -> Job:
        """Ask the job to end, and say how it is now."""
        self._door.send("POST", f"/api/v1/jobs/{job_id}/cancel")
        return self.get(job_id)

    def submit(self, kind: str, request: dict[str, Any]) -> Job:
        """Start a job of *kind*; returns at once."""
        body = {"kind": kind, "request": request}
        return start_job(self._door, f"/api/v1/projects/{self._project}/jobs", body)

    def said(self, job_id: str) -> list[JobEvent]:
        """Everything the job said until now."""
        lines = self._door.events(f"/api/v1/jobs/{job_id}/events", follow=False)
        return [_event(line) for line in lines]

    def events(self, job_id: str, after: int = 0) -> Iterator[JobEvent]:
        """Everything the job said after event *after*, and then as it says it, until it ends.

        Survives a hub that goes away for less than a minute.
        """
        lost_s: float | None = None
        while True:
            try:
                for line in self._door.events(f"/api/v1/jobs/{job_id}/events", after=after):
                    event = _event(line)
                    lost_s, after = None, max(after, event.seq)
                    yield event
                if self._door.ask("GET", f"/api/v1/jobs/{job_id}", Job, patience=AT_ONCE).ended:
                    return
            except (NotReady, Late) as error:
                lost_s = lost_s or time.monotonic()
                if time.monotonic() - lost_s > _HUB_AWAY_S:
                    raise NotReady(f"{error}; {job_id} goes on as soon as the hub does") from error
                time.sleep(0.5)

    def wait(self, job_id: str, *, progress: bool | Progress | None = None) -> Job:
        """Follow the job to its good end; raises `JobFailed`, and `StillRunning` on Ctrl-C."""
        with progress_for(progress) as shown:
            return self.follow(job_id, shown)

    def follow(self, job_id: str, progress: Progress) -> Job:
        """`wait`, inside a progress that is already shown."""
        try:
            for event in self.events(job_id):
                show(event, progress)
            job = self.get(job_id)
        except KeyboardInterrupt as interrupt:
            raise StillRunning(job_id) from interrupt
        if job.state != "succeeded":
            raise JobFailed(job)
        return job


def start_job(door: Door, address: str, body: dict[str, Any]) -> Job:
    """Ask for a job, once; a Ctrl-C on the way says that it may have been too late."""
    try:
        return door.ask("POST", address, Job, json=body)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            "stopped; the job may have started already: `forebay jobs` lists them"
        ) from interrupt


def show(event: JobEvent, progress: Progress = NoProgress()) -> None:  # noqa: B008 - it has no state
    """Tell *progress* what *event* says."""
    if event.kind == "candidate":
        progress.candidate(event.data)
        return
    if text := event.data.get("text"):
        progress.step(str(text))
    if isinstance(fraction := event.data.get("fraction"), int | float):
        progress.at(float(fraction))


def _event(line: bytes) -> JobEvent:
    try:
        data = msgspec.json.decode(line, type=dict[str, Any])
        return JobEvent(int(data["seq"]), str(data["kind"]), data)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise Broken(f"the hub sent an event that this client cannot read: {line[:80]!r}") from error


def result_of(job: Job) -> dict[str, Any]:
    """What a job that succeeded made; raises `Broken` if the hub forgot to say."""
    if job.result is None:
        raise Broken(f"{job.id} succeeded without a result; `forebay jobs log {job.id}` may say why")
    return job.result
