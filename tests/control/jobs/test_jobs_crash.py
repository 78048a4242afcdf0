"""`kill -9` of the hub, at every moment of a job's life."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from forebay.control.jobs import JobRecord, Jobs, State
from forebay.control.store import Database
from forebay.core.errors import NotReady
from support.toy_jobs import toy_kinds, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


class Process:
    """A process that works on jobs until it is killed."""

    def __init__(self, database: Database, system_url: str, folder: Path) -> None:
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.toy_jobs", database.url, system_url, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": paths},
        )
        assert self._line() == "ready"

    def submit(self, **request: Any) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self._line()

    def end(self) -> None:
        if self._process.returncode is None:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        code = self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        return code

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


@pytest.fixture
def begin(database: Database, system_url: str, folder: Path) -> Iterator[Callable[[], Process]]:
    with ExitStack() as stack:

        def begin() -> Process:
            process = Process(database, system_url, folder)
            stack.callback(process.end)
            return process

        yield begin


@pytest.fixture
def looking(database: Database, system_url: str, folder: Path) -> Jobs:
    """The same jobs, looked at from outside."""
    return Jobs(database, system_url, folder, toy_kinds())


def ended(looking: Jobs, job_id: str) -> JobRecord:
    wait_until(lambda: looking.get(job_id).state.over, f"{job_id} at {looking.get(job_id).step!r}", 60.0)
    return looking.get(job_id)


def starts(folder: Path, job_id: str) -> list[tuple[str, int]]:
    path = folder / f"starts-{job_id}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(name, int(pid)) for name, pid in (line.split() for line in lines)]


@pytest.mark.parametrize("where", ["fetch", "before register", "after register"])
def test_a_job_goes_on_after_the_hub_was_killed_in_its_own_step(
    begin: Callable[[], Process], looking: Jobs, folder: Path, where: str
) -> None:
    process = begin()
    job_id = process.submit(die=where)
    assert process.wait() == -signal.SIGKILL
    assert looking.get(job_id).state is State.RUNNING
    begin()
    job = ended(looking, job_id)
    assert (job.state, job.result) == (State.SUCCEEDED, {"model": "toy", "version": 1})
    assert [name for name, _ in starts(folder, job_id)] == ["first", "second"]
    assert (folder / "registered.txt").read_text() == job_id
    assert any("restarted" in str(event.body.get("text")) for event in looking.events(job_id))


@pytest.mark.parametrize("step", ["first", "second"])
def test_only_the_step_that_was_under_way_is_done_again_and_its_child_is_gone(
    begin: Callable[[], Process], looking: Jobs, folder: Path, step: str
) -> None:
    process = begin()
    job_id = process.submit(**{step: "sleep once"})
    wait_until((folder / f"rested-{job_id}").exists, f"the child of {step}")
    process.kill()
    [child] = [pid for name, pid in starts(folder, job_id) if name == step]
    wait_until(lambda: not running(child), "the orphan's end", 5.0)
    begin()
    assert ended(looking, job_id).state is State.SUCCEEDED
    wanted = {"first": ["first", "first", "second"], "second": ["first", "second", "second"]}
    assert [name for name, _ in starts(folder, job_id)] == wanted[step]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_jobs_that_wait_for_their_turn_survive_too(
    begin: Callable[[], Process], looking: Jobs, folder: Path
) -> None:
    process = begin()
    ids = [process.submit(first="sleep once"), process.submit(), process.submit()]
    wait_until((folder / f"rested-{ids[0]}").exists, "the first job")
    process.kill()
    begin()
    assert {ended(looking, job_id).state for job_id in ids} == {State.SUCCEEDED}
    assert (folder / "registered.txt").read_text().split() == ids


def cancel_while_stopped(looking: Jobs, job_id: str, pid: int) -> None:
    """Cancel while process *pid* cannot hear of it; it may have been stopped while it held the job's row."""
    for _ in range(5):
        os.kill(pid, signal.SIGSTOP)
        with suppress(NotReady):
            looking.cancel(job_id)
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.3)  # long enough to let go of it
    raise AssertionError("the process holds the row whenever it is stopped")


def test_a_cancelled_job_stays_cancelled_when_the_hub_dies_before_it_has_ended(
    begin: Callable[[], Process], looking: Jobs, folder: Path
) -> None:
    process = begin()
    job_id = process.submit(first="sleep once")
    wait_until((folder / f"rested-{job_id}").exists, "the child")
    cancel_while_stopped(looking, job_id, process._process.pid)
    process.kill()
    assert looking.get(job_id).state is State.RUNNING
    begin()
    job = ended(looking, job_id)
    assert (job.state, job.result) == (State.CANCELLED, None)
    assert not (folder / "registered.txt").exists()


def test_a_job_accepted_but_not_yet_handed_over_is_not_forgotten(
    begin: Callable[[], Process], looking: Jobs
) -> None:
    looking._book.add("job-between", "default", "toy", {}, "k")
    begin()
    assert ended(looking, "job-between").state is State.SUCCEEDED


def test_what_a_dead_hub_left_in_folders_is_cleared_away(
    begin: Callable[[], Process], looking: Jobs, folder: Path
) -> None:
    process = begin()
    job_id = process.submit(die="after register")
    process.wait()
    (folder / job_id / "second.part").mkdir()
    begin()
    ended(looking, job_id)
    wait_until(lambda: [path.name for path in (folder / job_id).iterdir()] == ["log.txt"], "clearing")


def test_another_hub_on_the_same_database_leaves_running_jobs_alone(
    begin: Callable[[], Process],
    looking: Jobs,
    folder: Path,
    database: Database,
    system_url: str,
    tmp_path: Path,
) -> None:
    process = begin()
    job_id = process.submit(first="rest")
    wait_until((folder / f"starts-{job_id}.txt").exists, "the child")
    other = Process(database, system_url, tmp_path / "elsewhere")
    try:
        theirs = other.submit()
        assert ended(looking, theirs).state is State.SUCCEEDED
        assert ended(looking, job_id).state is State.SUCCEEDED
    finally:
        other.kill()
    assert [name for name, _ in starts(folder, job_id)] == ["first", "second"]
    assert [name for name, _ in starts(tmp_path / "elsewhere", theirs)] == ["first", "second"]
