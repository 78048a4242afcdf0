"""`kill -9` of the hub in each step of a real training: it goes on, and there is one version."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forebay.control.hub.work.kinds import job_kinds
from forebay.control.jobs import Jobs, State
from forebay.control.registry import Registry
from forebay.control.store import Database, FolderBlobs
from support.flowers import flowers
from support.small_networks import artifact, parquet, put, registered
from support.toy_jobs import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[4]


def started(database: Database, home: Path, dies: str = "") -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-m", "support.working_hub", database.url, str(home), dies],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@contextmanager
def running(database: Database, home: Path, dies: str = "") -> Iterator[subprocess.Popen[bytes]]:
    with started(database, home, dies) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_search_goes_on_after_the_trials_that_were_done(database: Database, tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    registry = Registry(database, blobs)
    looking = Jobs(database, "", tmp_path / "jobs", job_kinds(blobs, registry))
    data = flowers(600)
    sha256 = hashlib.sha256(data).hexdigest()
    blobs.put([data], sha256)
    request: dict[str, Any] = {"data": {"sha256": sha256}, "target": "species", "name": "flowers", "folds": 5}
    request |= {"estimator": "random-forest", "time_budget_s": 24.0}

    def tried(job_id: str) -> list[dict[str, Any]]:
        said = [event.body for event in looking.events(job_id) if event.kind == "metric"]
        return [body for body in said if "trial" in body]

    with running(database, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        job_id = process.stdout.readline().decode().strip()
        wait_until(lambda: len(tried(job_id)) >= 2, "two trials", 90.0)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    kept = (tmp_path / "jobs" / job_id / "trials" / "trials.jsonl").read_bytes().count(b"\n")
    assert kept >= 2

    with running(database, tmp_path):
        wait_until(lambda: looking.get(job_id).state.over, "the end", 120.0)
    job = looking.get(job_id)
    assert (job.state, job.error) == (State.SUCCEEDED, None)
    numbers = [body["trial"] for body in tried(job_id)]
    assert len(set(numbers)) == len(numbers), "no trial that was done is done again"
    assert any("going on after" in str(event.body.get("text")) for event in looking.events(job_id))
    [version] = registry.versions("default", "flowers")
    [contest] = [entry for entry in version.evidence if entry["kind"] == "cross-validation"]
    assert len(contest["candidates"]) > kept


@pytest.mark.parametrize("where", ["prepare", "choose", "build", "before register", "after register"])
def test_a_training_goes_on_and_registers_one_version(database: Database, tmp_path: Path, where: str) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    registry = Registry(database, blobs)
    looking = Jobs(database, "", tmp_path / "jobs", job_kinds(blobs, registry))
    data = flowers()
    sha256 = hashlib.sha256(data).hexdigest()
    blobs.put([data], sha256)
    request: dict[str, Any] = {"data": {"sha256": sha256}, "target": "species", "name": "flowers"}
    request |= {"estimator": "logistic-regression", "folds": 2}

    with running(database, tmp_path, where if "register" in where else "") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        job_id = process.stdout.readline().decode().strip()
        if "register" not in where:
            wait_until(lambda: looking.get(job_id).step == where, where, 60.0)
            process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert looking.get(job_id).state is State.RUNNING
    kept = len(registry.models("default"))
    assert kept == (1 if where == "after register" else 0)

    with running(database, tmp_path):
        wait_until(lambda: looking.get(job_id).state.over, "the end", 90.0)
    job = looking.get(job_id)
    assert (job.state, job.error) == (State.SUCCEEDED, None)
    assert job.result is not None
    assert [version.version for version in registry.versions("default", "flowers")] == [1]
    assert job.result["version"] == 1
    begun = [event.body["step"] for event in looking.events(job_id) if event.body.get("fraction") == 0.0]
    step = where.rsplit(maxsplit=1)[-1]
    assert all(
        begun.count(other) == 1 for other in ("fetch", "prepare", "choose", "register") if other != step
    )
    kept_files = registry.versions("default", "flowers")[0].manifest.files
    assert all(blobs.size(entry.sha256) == entry.size_bytes for entry in kept_files)


def test_a_compression_goes_on_after_the_candidates_that_were_done(
    database: Database, tmp_path: Path
) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    registry = Registry(database, blobs)
    looking = Jobs(database, "", tmp_path / "jobs", job_kinds(blobs, registry))
    registered(registry, blobs, artifact(tmp_path / "artifact"), "digits")
    data = parquet(tmp_path / "eval.parquet").read_bytes()
    request: dict[str, Any] = {"model": "digits:1", "data": {"sha256": put(blobs, data), "format": "parquet"}}
    request |= {"target": "digit", "keep": "accuracy>=-4", "goal": "size", "time_budget_s": 40.0}
    request |= {"slices": ["half"]}

    def logged(job_id: str) -> list[tuple[str, tuple[str, ...]]]:
        """What began and what ended, in this order."""
        path = tmp_path / "jobs" / job_id / "candidates" / "search.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        entries = [json.loads(line) for line in lines]
        return [(each["type"], tuple(each.get("tried", each)["recipe"])) for each in entries]

    def ended(job_id: str) -> set[tuple[str, ...]]:
        return {recipe for kind, recipe in logged(job_id) if kind == "_Ended"}

    with running(database, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        job_id = process.stdout.readline().decode().strip()
        wait_until(lambda: len(ended(job_id)) >= 2, "two candidates", 90.0)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    before, done = logged(job_id), ended(job_id)

    with running(database, tmp_path):
        wait_until(lambda: len(ended(job_id)) > len(done), "the search to go on", 90.0)
        since = logged(job_id)[len(before) :]
        assert not {recipe for _, recipe in since} & done, "nothing that was done is done again"
        wait_until(lambda: looking.get(job_id).state.over, "the end", 150.0)
    job = looking.get(job_id)
    assert (job.state, job.error) == (State.SUCCEEDED, None)
    assert [version.version for version in registry.versions("default", "digits")] == [1, 2]
    small = registry.versions("default", "digits")[1]
    assert small.lineage["parent"] == "digits:1"
    [evidence] = small.evidence
    assert done <= {tuple(tried["recipe"]) for tried in evidence["tried"]}
