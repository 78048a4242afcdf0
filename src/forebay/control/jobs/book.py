"""The book of jobs: every change of a job's row and every event goes through here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from forebay.control.jobs.records import JobEvent, JobRecord, job_event, job_record
from forebay.control.jobs.states import State, checked_way
from forebay.control.jobs.tables import JobEventRow, JobRow
from forebay.control.store import Database
from forebay.core.errors import Conflict, NotFound

_MOST_EVENTS = 20_000
_KINDS = frozenset({"progress", "log", "metric", "candidate"})


class Book:
    """Jobs and their events in one database. `home` is whose jobs this hub works on."""

    def __init__(self, database: Database, home: str) -> None:
        self._database = database
        self._home = home

    def add(self, job_id: str, project: str, kind: str, request: dict[str, Any], key_id: str) -> JobRecord:
        """A new job, queued."""
        row = JobRow(
            id=job_id,
            project=project,
            kind=kind,
            request=msgspec.json.encode(request).decode(),
            key_id=key_id,
            home=self._home,
            state=State.QUEUED,
            step="",
            cancel_requested=False,
            last_seq=0,
            attempts=0,
            spent_s=0.0,
            created_at=datetime.now(UTC),
        )
        with self._database.write() as session:
            session.add(row)
            session.flush()
            _tell(session, row, [("state", {"state": State.QUEUED})])
            return job_record(row)

    def get(self, job_id: str) -> JobRecord:
        """One job; raises `NotFound`."""
        with self._database.read() as session:
            return job_record(_find(session, job_id))

    def of_project(self, project: str, limit: int) -> list[JobRecord]:
        """The newest jobs of *project*, newest first."""
        mine = select(JobRow).where(JobRow.project == project)
        newest = mine.order_by(JobRow.created_at.desc(), JobRow.id).limit(limit)
        with self._database.read() as session:
            return [job_record(row) for row in session.scalars(newest)]

    def unfinished(self, *, everywhere: bool = False) -> list[JobRecord]:
        """Jobs that are not over, oldest first: this home's, or all."""
        open_ = [State.QUEUED, State.RUNNING]
        mine = select(JobRow).where(JobRow.state.in_(open_)).order_by(JobRow.created_at, JobRow.id)
        if not everywhere:
            mine = mine.where(JobRow.home == self._home)
        with self._database.read() as session:
            return [job_record(row) for row in session.scalars(mine)]

    def counts(self) -> dict[str, float]:
        """How many jobs there are in each state."""
        counted = select(JobRow.state, func.count()).group_by(JobRow.state)
        with self._database.read() as session:
            found = {row[0]: row[1] for row in session.execute(counted)}
        return {state.value: found.get(state, 0) for state in State}

    def events(self, job_id: str, after: int, limit: int) -> list[JobEvent]:
        """Up to *limit* events with a number above *after*; raises `NotFound`."""
        mine = select(JobEventRow).where(JobEventRow.job_id == job_id, JobEventRow.seq > after)
        with self._database.read() as session:
            _find(session, job_id)
            return [job_event(row) for row in session.scalars(mine.order_by(JobEventRow.seq).limit(limit))]

    def begin(self, job_id: str) -> tuple[JobRecord, int]:
        """Make the job running, if it was queued; the job, and how often it has been begun so far."""
        with self._database.write() as session:
            row = _hold(session, job_id)
            row.attempts += 1
            if row.state == State.QUEUED:
                row.started_at, row.progress = datetime.now(UTC), 0.0
                _move(session, row, State.RUNNING)
            elif row.state == State.RUNNING:
                _tell(session, row, [("log", {"text": "the hub was restarted; the job goes on"})])
            return job_record(row), row.attempts

    def enter(self, job_id: str, step: str, progress: float, *, final: bool) -> float | None:
        """Begin *step*; how many seconds the job has worked so far, or None where it shall be cancelled.

        A final step that was begun before is begun again even so: its outcome may be there already.
        """
        with self._database.write() as session:
            row = _hold(session, job_id)
            if row.cancel_requested and not (final and row.step == step):
                return None
            row.step, row.progress = step, progress
            _tell(session, row, [("progress", {"step": step, "fraction": 0.0, "text": step})])
            return row.spent_s

    def note(
        self, job_id: str, events: Iterable[Mapping[str, Any]], progress: float | None, spent_s: float
    ) -> bool:
        """Write down what a step told, its progress and time; whether the job shall be cancelled."""
        with self._database.write() as session:
            row = _hold(session, job_id)
            row.spent_s = spent_s
            if progress is not None:
                row.progress = progress
            _tell(session, row, [_parted(event) for event in events])
            return row.cancel_requested

    def request_cancel(self, job_id: str, final: frozenset[str]) -> JobRecord:
        """Cancel a queued job at once, ask a running one to stop; raises `Conflict` where it is too late.

        *final* are the names of steps that are not cancelled any more.
        """
        with self._database.write() as session:
            row = _hold(session, job_id)
            if row.state == State.CANCELLED:
                return job_record(row)
            checked_way(State(row.state), State.CANCELLED)
            if row.state == State.RUNNING and row.step in final:
                raise Conflict(f"the job is at its last step ({row.step!r}) and cannot be cancelled any more")
            row.cancel_requested = True
            if row.state == State.QUEUED:
                _finish(session, row, State.CANCELLED)
            return job_record(row)

    def finish(
        self, job_id: str, state: State, result: dict[str, Any] | None = None, error: str | None = None
    ) -> None:
        """End the job; nothing happens when it is over already."""
        with self._database.write() as session:
            row = _hold(session, job_id)
            if State(row.state).over:
                return
            row.result = None if result is None else msgspec.json.encode(result).decode()
            row.error = error.replace("\0", "") if error else error
            row.progress = 1.0 if state is State.SUCCEEDED else row.progress
            _finish(session, row, state)


def _hold(session: Session, job_id: str) -> JobRow:
    """The job's row, held until the transaction ends: events get their numbers one after the other."""
    return _find(session, job_id, held=True)


def _find(session: Session, job_id: str, *, held: bool = False) -> JobRow:
    mine = select(JobRow).where(JobRow.id == job_id)
    row = session.scalar(mine.with_for_update() if held else mine)
    if row is None:
        raise NotFound(f"there is no job {job_id!r}")
    return row


def _finish(session: Session, row: JobRow, state: State) -> None:
    row.finished_at = datetime.now(UTC)
    _move(session, row, state)


def _move(session: Session, row: JobRow, state: State) -> None:
    row.state = checked_way(State(row.state), state)
    body: dict[str, Any] = {"state": state}
    if row.error is not None:
        body["error"] = row.error
    if row.result is not None:
        body["result"] = msgspec.json.decode(row.result)
    _tell(session, row, [("state", body)])


def _tell(session: Session, row: JobRow, events: Iterable[tuple[str, dict[str, Any]]]) -> None:
    now = datetime.now(UTC)
    for kind, body in events:
        if kind != "state" and row.last_seq >= _MOST_EVENTS:
            continue  # a chatty step fills its log, not the database
        row.last_seq += 1
        told = msgspec.json.encode(_finite(body)).decode()
        session.add(JobEventRow(job_id=row.id, seq=row.last_seq, time=now, kind=kind, body=told))


def _parted(event: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = str(event.get("kind"))
    return kind if kind in _KINDS else "log", {name: event[name] for name in event if name != "kind"}


def _finite(body: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity; a metric may have."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in body.items()
    }
