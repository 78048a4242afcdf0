"""The rows of `control/jobs`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Double, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from forebay.control.store import Base


class JobRow(Base):
    """One job. `request` and `result` hold JSON; `home` names the hub that has the job's folder.

    `last_seq` counts its events, `attempts` how often a hub began or went on with it, `spent_s` the
    seconds that its steps have worked, whichever hub processes they worked in.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_by_project", "project", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str]
    kind: Mapped[str]
    request: Mapped[str]
    key_id: Mapped[str]
    home: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    step: Mapped[str]
    progress: Mapped[float | None] = mapped_column(Double)
    result: Mapped[str | None]
    error: Mapped[str | None]
    cancel_requested: Mapped[bool]
    last_seq: Mapped[int]
    attempts: Mapped[int]
    spent_s: Mapped[float] = mapped_column(Double)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEventRow(Base):
    """What a job told: event *seq* of the job; `body` holds JSON."""

    __tablename__ = "job_events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime]
    kind: Mapped[str]
    body: Mapped[str]
