"""Jobs that do nothing of use: one kind, whose steps behave as the request says.

    python -m support.toy_jobs DATABASE_URL SYSTEM_URL FOLDER     a process that works on jobs

A request maps the names of steps to what they do; the process itself dies where `die` says.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forebay.control.jobs import Errand, JobKind, Jobs, State, Step
from forebay.control.store import Database
from forebay.core.errors import Malformed

STEPS = ("fetch", "first", "second", "register")
_CHILD = Path(__file__).with_name("toy_child.py")


def toy_kinds() -> dict[str, JobKind]:
    """The kind `toy`: a step in the hub, two in children, and one that others see the outcome of."""
    steps = (
        Step("fetch", in_hub=_fetch),
        Step("first"),
        Step("second", weight=2.0, restarts=2),
        Step("register", in_hub=_register, final=True),
    )
    return {"toy": JobKind("toy", steps, _check, _command)}


def _check(_project: str, request: dict[str, Any]) -> dict[str, Any]:
    if unknown := set(request) - {*STEPS, "die", "note", "time_budget_s"}:
        raise Malformed(f"a toy has no step {unknown.pop()!r}")
    return request


def _command(step: str, folder: Path) -> list[str]:
    return [sys.executable, str(_CHILD), step, str(folder)]


def _fetch(errand: Errand) -> None:
    if errand.request.get("fetch") == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    if errand.request.get("fetch") == "odd":
        raise KeyError("/home/ada/secret")
    (errand.output / "data.txt").write_text("data")
    errand.tell({"kind": "log", "text": "fetched"})
    _maybe_die(errand, "fetch")


def _register(errand: Errand) -> dict[str, Any]:
    _maybe_die(errand, "before register")
    registered = errand.folder.parent / "registered.txt"
    known = registered.read_text().split() if registered.exists() else []
    if errand.job_id not in known:
        registered.write_text(" ".join([*known, errand.job_id]))
    _maybe_die(errand, "after register")
    return {"model": "toy", "version": registered.read_text().split().index(errand.job_id) + 1}


def _maybe_die(errand: Errand, where: str) -> None:
    """Die where the request says so, but only the first time."""
    marker = errand.folder.parent / f"died-{errand.job_id}"
    if errand.request.get("die") == where and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


# -- the process -------------------------------------------------------------------------------------


@contextmanager
def jobs_at_work(database: Database, system_url: str, folder: Path, **options: Any) -> Iterator[Jobs]:
    """Jobs, started and stopped."""
    jobs = Jobs(database, system_url, folder, toy_kinds(), **options)
    jobs.start()
    try:
        yield jobs
    finally:
        jobs.stop()


def wait_until(true: Callable[[], bool], what: str, wait_s: float = 30.0) -> None:
    """Wait until it is true."""
    until = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < until, f"{what} took longer than {wait_s:g} s"
        time.sleep(0.02)


def wait_over(jobs: Jobs, job_id: str, wait_s: float = 30.0) -> State:
    """The state in which a job ended."""
    wait_until(lambda: jobs.get(job_id).state.over, f"{job_id} in state {jobs.get(job_id).state}", wait_s)
    return jobs.get(job_id).state


def _hub(database_url: str, system_url: str, folder: Path) -> None:
    """Work until killed; what arrives in `submit.json` is submitted."""
    database = Database(database_url)
    with jobs_at_work(database, system_url, folder) as jobs:
        _line("ready")
        for line in sys.stdin:
            _line(jobs.submit("default", "toy", json.loads(line), "key"))


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _hub(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
