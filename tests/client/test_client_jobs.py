"""Following a job through whatever happens on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from forebay.client import JobFailed, NoProgress, StillRunning
from forebay.client.door import AT_ONCE, Door
from forebay.client.jobs import JobsOf
from forebay.core.errors import Broken
from support.peer import Reply, peer


def job(state: str, **more: object) -> Reply:
    known = {"id": "j1", "project": "default", "kind": "train", "state": state} | more
    return Reply(body=json.dumps(known).encode())


def stream(*events: str) -> Reply:
    return Reply(body="".join(f"data: {event}\n\n" for event in events).encode())


STEP = '{"seq": %d, "kind": "progress", "time": "2026-11-21T00:00:00Z", "text": "step %d", "fraction": 0.5}'


class Kept(NoProgress):
    def __init__(self) -> None:
        self.said: list[object] = []

    def step(self, text: str) -> None:
        self.said.append(text)

    def at(self, fraction: float) -> None:
        self.said.append(fraction)


def follow(*replies: Reply) -> tuple[list[object], list[str]]:
    shown = Kept()
    with peer(replies) as there, closing(Door(there.url, "k", patience=AT_ONCE)) as door:
        JobsOf(door, "default").follow("j1", shown)
    return shown.said, [asked.path for asked in there.asked]


def test_each_step_is_shown_as_it_happens() -> None:
    said, _ = follow(stream(STEP % (1, 1), STEP % (2, 2)), job("succeeded"), job("succeeded"))
    assert said == ["step 1", 0.5, "step 2", 0.5]


def test_a_stream_that_breaks_is_taken_up_where_it_broke() -> None:
    said, paths = follow(
        stream(STEP % (1, 1)),
        job("running"),
        Reply(503, b"{}"),
        stream(STEP % (2, 2)),
        job("succeeded"),
        job("succeeded"),
    )
    assert said == ["step 1", 0.5, "step 2", 0.5]
    assert [path for path in paths if "events" in path] == [
        "/api/v1/jobs/j1/events?after=0",
        "/api/v1/jobs/j1/events?after=1",
        "/api/v1/jobs/j1/events?after=1",
    ]


def test_a_job_that_failed_says_why_and_where_its_log_is() -> None:
    with pytest.raises(JobFailed, match=r"j1 failed: the column is empty; `forebay jobs log j1`") as caught:
        follow(
            stream(), job("failed", error="the column is empty"), job("failed", error="the column is empty")
        )
    assert caught.value.job.state == "failed"


def test_a_job_that_was_cancelled_is_no_success() -> None:
    with pytest.raises(JobFailed, match="it was cancelled"):
        follow(stream(), job("cancelled"), job("cancelled"))


def test_ctrl_c_stops_the_wait_and_says_that_the_job_goes_on() -> None:
    class Impatient(NoProgress):
        def step(self, text: str) -> None:
            raise KeyboardInterrupt(text)

    waiting = pytest.raises(StillRunning, match=r"stopped waiting; j1 goes on: `forebay jobs wait j1`")
    with peer([stream(STEP % (1, 1))]) as there, closing(Door(there.url, "k")) as door, waiting:
        JobsOf(door, "default").follow("j1", Impatient())


_INTERRUPTED = """
import os, signal, sys, time
from forebay.client.door import Door
from forebay.client.jobs import JobsOf
from support.peer import Reply, peer

def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30.0)
    yield Reply()

signal.signal(signal.SIGINT, signal.default_int_handler)
with peer(interrupted()) as there:
    try:
        JobsOf(Door(there.url, "k"), "default").submit("train", {})
    except KeyboardInterrupt as interrupt:
        print(interrupt, flush=True)
        os._exit(0)
"""


def test_ctrl_c_on_the_way_to_the_hub_says_that_it_may_be_too_late() -> None:
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(tests)},
    )
    assert "may have started already: `forebay jobs`" in done.stdout


def test_an_event_that_is_none_is_the_hubs_fault() -> None:
    with pytest.raises(Broken, match="an event that this client cannot read"):
        follow(stream('{"nothing": 1}'))
