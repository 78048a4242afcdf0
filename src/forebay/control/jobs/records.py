"""What people see of a job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from forebay.control.jobs.states import State
from forebay.control.jobs.tables import JobEventRow, JobRow


class JobRecord(msgspec.Struct, frozen=True):
    """One job, as it is now. `progress` is a share of the whole, 0 to 1; None before it has begun."""

    id: str
    project: str
    kind: str
    state: State
    step: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    request: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    progress: float | None
    key_id: str


class JobEvent(msgspec.Struct, frozen=True):
    """One thing that a job told, with its own fields in `body`.

    It is a `progress`, `log`, `metric`, `candidate` (of a compression) or `state`.
    """

    seq: int
    time: datetime
    kind: str
    body: dict[str, Any]

    def flat(self) -> dict[str, Any]:
        """As one object, the way it goes over the wire."""
        return {"seq": self.seq, "time": self.time, "kind": self.kind} | self.body


def job_record(row: JobRow) -> JobRecord:
    """What *row* says."""
    return JobRecord(
        id=row.id,
        project=row.project,
        kind=row.kind,
        state=State(row.state),
        step=row.step,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        request=msgspec.json.decode(row.request),
        result=None if row.result is None else msgspec.json.decode(row.result),
        error=row.error,
        progress=row.progress,
        key_id=row.key_id,
    )


def job_event(row: JobEventRow) -> JobEvent:
    """What *row* says."""
    return JobEvent(row.seq, row.time, row.kind, msgspec.json.decode(row.body))
