"""One job at work: its steps in their order, each at least once, its outcome once."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from forebay.control.jobs.book import Book
from forebay.control.jobs.child import Child, describe_exit
from forebay.control.jobs.folder import JobFolder
from forebay.control.jobs.kinds import Errand, InHub, JobKind, Step
from forebay.control.jobs.patience import Patience
from forebay.control.jobs.records import JobRecord
from forebay.control.jobs.states import State
from forebay.control.jobs.watch import Ended, Outcome, Watch, failed
from forebay.core.errors import ForebayError, message_for

_log = logging.getLogger("forebay.jobs")
_MOST_ATTEMPTS = 10
_FULL = (errno.ENOSPC, errno.EDQUOT)
_STATES = {"ok": State.SUCCEEDED, "failed": State.FAILED, "cancelled": State.CANCELLED}

Checkpoint: TypeAlias = Callable[[str, Callable[[], Outcome]], Outcome]
"""Does a step and keeps its outcome for good, or gives the outcome that is kept."""


class Runner:
    """Works on jobs, one call a job, from several threads."""

    def __init__(
        self,
        book: Book,
        patience: Patience,
        root: Path,
        kinds: Mapping[str, JobKind],
        time_limit_s: float,
    ) -> None:
        self._book = book
        self._patience = patience
        self._root = root
        self._kinds = kinds
        self._time_limit_s = time_limit_s

    def work(self, job_id: str, checkpoint: Checkpoint) -> None:
        """Do everything that is left of a job."""
        try:
            outcome = self._steps(job_id, checkpoint)
        except Exception as error:  # noqa: BLE001 (the outermost loop of a job: it has to end, whatever is wrong)
            _log.exception("job %s failed", job_id)
            outcome = failed(_sentence(error))
        if outcome is None:
            return
        state, result, error_text = _STATES[outcome["state"]], outcome.get("result"), outcome.get("error")
        self._patience.until_done(lambda: self._book.finish(job_id, state, result, error_text))
        JobFolder(self._root / job_id).clean()
        _log.info("job %s is %s%s", job_id, state, f": {error_text}" if error_text else "")

    def _steps(self, job_id: str, checkpoint: Checkpoint) -> Outcome | None:
        """The outcome of all steps; None where the job is over already."""
        job, attempts = self._patience.until_done(lambda: self._book.begin(job_id))
        if job.state.over:
            return None
        if attempts > _MOST_ATTEMPTS:
            return failed(
                f"the hub stopped {_MOST_ATTEMPTS} times while this job worked; look at the hub's log"
            )
        kind = self._kinds.get(job.kind)
        if kind is None:
            return failed(f"this hub has no jobs of the kind {job.kind!r}")
        folder = JobFolder(self._root / job_id)
        folder.lay_out(job.request)
        result: dict[str, Any] = {}
        for step in kind.steps:
            outcome = checkpoint(step.name, self._doing(job, kind, step, folder))
            if outcome["state"] != "ok":
                return outcome
            result |= outcome.get("result") or {}
        return {"state": "ok", "result": result}

    def _doing(self, job: JobRecord, kind: JobKind, step: Step, folder: JobFolder) -> Callable[[], Outcome]:
        return lambda: self._step(job, kind, step, folder)

    def _step(self, job: JobRecord, kind: JobKind, step: Step, folder: JobFolder) -> Outcome:
        progress = kind.progress(step.name, 0.0)
        spent_s = self._patience.until_done(
            lambda: self._book.enter(job.id, step.name, progress, final=step.final)
        )
        if spent_s is None:
            return {"state": "cancelled"}
        watch = Watch(self._book, self._patience, job.id, kind, step, spent_s, self._time_limit_s)
        try:
            if step.in_hub is not None:
                result = self._in_hub(step.in_hub, job, step, folder, watch)
                return {"state": "ok", "result": result}
            if not folder.complete(step.name):  # it is, where the hub died before the checkpoint
                self._in_child(kind, step, folder, watch)
        except Ended as ended:
            return ended.outcome
        except (ForebayError, OSError) as error:
            return failed(_sentence(error))
        return {"state": "ok"}

    def _in_hub(
        self, do: InHub, job: JobRecord, step: Step, folder: JobFolder, watch: Watch
    ) -> dict[str, Any] | None:
        def attempt() -> dict[str, Any] | None:
            output = folder.fresh_part(step.name)
            return do(Errand(job.id, job.project, job.request, folder.path, output, watch.tell))

        result = self._patience.until_done(attempt)
        folder.keep_part(step.name)
        watch.look([])
        return result

    def _in_child(self, kind: JobKind, step: Step, folder: JobFolder, watch: Watch) -> None:
        code = self._child(kind, step, folder, watch)
        restarts = step.restarts
        while code < 0 and restarts:
            watch.tell({"kind": "log", "step": step.name, "text": f"it {describe_exit(code)}, and goes on"})
            code, restarts = self._child(kind, step, folder, watch), restarts - 1
        if code == 0 and folder.complete(step.name):
            return
        told = f"the step {step.name!r} {describe_exit(code)}"
        tail = folder.tail()
        told = f"{told}; the last lines of its log: {tail}" if tail else told
        raise Ended(failed(watch.error or told))

    def _child(self, kind: JobKind, step: Step, folder: JobFolder, watch: Watch) -> int:
        """The exit code of one child."""
        folder.fresh_part(step.name)
        code = Child(kind.command(step.name, folder.path), folder.log).run(watch.look)
        watch.flush()
        return code


def _sentence(error: Exception) -> str:
    """What the job's owner may read of *error*."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return "the hub's disk is full; free some space there and submit the job again"
    if isinstance(error, OSError) and error.strerror:
        return f"the hub's machine refused: {error.strerror.lower()}; the hub's log says more"
    return message_for(error)
