"""Jobs: the room's face."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forebay.control.jobs.book import Book
from forebay.control.jobs.durable import Durable
from forebay.control.jobs.folder import JobFolder
from forebay.control.jobs.kinds import JobKind
from forebay.control.jobs.patience import Patience
from forebay.control.jobs.records import JobEvent, JobRecord
from forebay.control.jobs.runner import Runner
from forebay.control.store import Database
from forebay.core.errors import Malformed, NotFound

_log = logging.getLogger("forebay.jobs")
_LOG_BYTES = 1 << 20


class Jobs:
    """Slow work that survives a restart of the hub.

    *system_url* is where DBOS keeps its own tables (a SQLite file beside the hub's, or the same
    PostgreSQL, where they have a schema of their own); *folder* holds one folder a job. A job works at
    most *time_limit_s* seconds (0: as long as it likes), at most *children* jobs at once.
    """

    def __init__(
        self,
        database: Database,
        system_url: str,
        folder: Path,
        kinds: Mapping[str, JobKind],
        *,
        time_limit_s: float = 3600.0,
        children: int = 1,
    ) -> None:
        home = _home_of(folder)
        self._book = Book(database, home)
        self._folder = folder
        self._kinds = kinds
        self._patience = Patience()
        self._time_limit_s = time_limit_s or float("inf")
        runner = Runner(self._book, self._patience, folder, kinds, self._time_limit_s)
        self._durable = Durable(system_url, home, children, runner.work)

    def start(self) -> None:
        """Go on with what was under way, and begin what was accepted."""
        self._durable.start()
        self._durable.forget_finished()
        unfinished = self._book.unfinished()
        for job in unfinished:  # the hub may have died between accepting a job and handing it over
            self._durable.enqueue_again(job.id)
        self._clean({job.id for job in unfinished})

    def stop(self) -> None:
        """Leave every job where it is; its child is ended, and its step begins again after `start`."""
        self._patience.end()
        self._durable.stop()

    def submit(self, project: str, kind: str, request: dict[str, Any], key_id: str) -> str:
        """Accept a job and give its id; raises `Malformed` for a request that can never work."""
        if kind not in self._kinds:
            raise Malformed(
                f"there are no jobs of the kind {kind!r}; there is {', '.join(sorted(self._kinds))}"
            )
        checked = self._kinds[kind].check(project, request)
        self._check_time(checked)
        job_id = f"job-{secrets.token_hex(8)}"
        self._book.add(job_id, project, kind, checked, key_id)
        self._durable.enqueue(job_id)
        return job_id

    def _check_time(self, request: Mapping[str, Any]) -> None:
        """A search that plans with more time than a job may work would lose all of it."""
        budget_s = request.get("time_budget_s") or 0.0
        if budget_s > self._time_limit_s:
            raise Malformed(
                f"time_budget_s asks for {budget_s:g} s, and a job may work {self._time_limit_s:g} s here; "
                "ask for less, or raise the hub's job time limit (FOREBAY_JOB_TIME_LIMIT_S)"
            )

    def get(self, job_id: str) -> JobRecord:
        """One job; raises `NotFound`."""
        return self._book.get(job_id)

    def list(self, project: str, limit: int = 100) -> Sequence[JobRecord]:
        """The newest jobs of *project*, newest first."""
        return self._book.of_project(project, limit)

    def events(self, job_id: str, after: int = 0, limit: int = 1000) -> Sequence[JobEvent]:
        """What the job told, from event *after* + 1 on; the last event of a job that is over is its state."""
        return self._book.events(job_id, after, limit)

    def log(self, job_id: str) -> str:
        """The end of what the job's children wrote to standard error; raises `NotFound`."""
        self._book.get(job_id)
        path = JobFolder(self._folder / job_id).log
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            return file.read().decode("utf-8", "replace")

    def report(self, job_id: str) -> bytes:
        """The page about its work that a job has left, in HTML, whatever it came to; raises `NotFound`."""
        kind = self._book.get(job_id).kind
        try:
            return JobFolder(self._folder / job_id).report.read_bytes()
        except FileNotFoundError:
            raise NotFound(f"the {kind} job {job_id!r} has left no report") from None

    def cancel(self, job_id: str) -> JobRecord:
        """Cancel a job: at once where it is queued, as soon as its child is ended where it is running.

        Raises `Conflict` for one that is over, or at the step whose outcome others see.
        """
        kind = self._kinds.get(self._book.get(job_id).kind)
        final = frozenset(step.name for step in kind.steps if step.final) if kind else frozenset[str]()
        return self._book.request_cancel(job_id, final)

    def unfinished(self) -> Sequence[JobRecord]:
        """Every job that is not over, of every hub on this database, oldest first."""
        return self._book.unfinished(everywhere=True)

    def counts(self) -> dict[str, float]:
        """How many jobs there are in each state."""
        return self._book.counts()

    def _clean(self, unfinished: set[str]) -> None:
        """Folders of jobs that ended while the hub could not clean up after them."""
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in unfinished:
                JobFolder(path).clean()


def _home_of(folder: Path) -> str:
    """The name of this hub's home, made once: it says whose jobs the ones in *folder* are."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "home"
    if not path.is_file():
        growing = folder / "home.part"
        growing.write_text(secrets.token_hex(8))
        growing.replace(path)
    return path.read_text()
