"""Each task trains on real data, the hub is killed in the middle of it, and it ends well."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from subprocess import Popen

import pytest

from control.hub.work.test_work_crash import running
from forebay.control.hub.work.kinds import job_kinds
from forebay.control.jobs import Jobs, State
from forebay.control.registry import Registry
from forebay.control.store import Database, FolderBlobs, migrate
from support.task_data import TASKS
from support.toy_jobs import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Working:
    """A hub's jobs in a process that is killed and started again, over one home."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database, self._home = database, home
        self.blobs = FolderBlobs(home / "blobs")
        self.registry = Registry(database, self.blobs)
        self.jobs = Jobs(database, "", home / "jobs", job_kinds(self.blobs, self.registry))
        self._life = ExitStack()
        self._process = self.start()

    def start(self) -> Popen[bytes]:
        self._process = self._life.enter_context(running(self._database, self._home))
        return self._process

    def submit(self, request: dict[str, object]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().decode().strip()

    def kill(self) -> None:
        self._process.kill()
        assert self._process.wait(60) == -signal.SIGKILL

    def close(self) -> None:
        self._life.close()


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Working]:
    home = tmp_path_factory.mktemp("tasks")
    with closing(Database(f"sqlite:///{home / 'hub.db'}")) as database:
        migrate(database)
        with closing(Working(database, home)) as work:
            yield work


@pytest.mark.parametrize("name", TASKS)
def test_a_task_that_was_killed_in_the_middle_ends_well(working: Working, name: str) -> None:
    task = TASKS[name]
    content = task.content()
    sha256 = hashlib.sha256(content).hexdigest()
    working.blobs.put([content], sha256)
    request = {"name": name, "data": {"sha256": sha256, "format": task.format}, "folds": 2}
    job_id = working.submit(request | task.asked)
    wait_until(lambda: working.jobs.get(job_id).step == "choose", "the search", 90.0)
    working.kill()
    assert working.jobs.get(job_id).state is State.RUNNING
    working.start()
    wait_until(lambda: working.jobs.get(job_id).state.over, "the end", 150.0)
    job = working.jobs.get(job_id)
    assert (job.state, job.error) == (State.SUCCEEDED, None)
    assert job.result is not None
    assert job.result["scores"][task.score] >= task.least
    [version] = working.registry.versions("default", name)
    assert version.card
    assert {"forebay.json", "model.onnx", "report.html"} <= {entry.path for entry in version.manifest.files}
