"""A job from its submission to its end, as the one who submitted it sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forebay.control.jobs import Jobs, State
from forebay.core.errors import Conflict, Malformed, NotFound
from support.toy_jobs import wait_over, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def jobs(jobs_and_folder: tuple[Jobs, Path]) -> Jobs:
    return jobs_and_folder[0]


@pytest.fixture
def home(jobs_and_folder: tuple[Jobs, Path]) -> Path:
    return jobs_and_folder[1]


def submit(jobs: Jobs, **request: Any) -> str:
    return jobs.submit("default", "toy", request, "0a1b2c3d")


def starts(home: Path, job_id: str) -> dict[str, int]:
    """Which children a job has started, and their process numbers."""
    path = home / f"starts-{job_id}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: int(pid) for name, pid in (line.split() for line in lines)}


def wait_at(jobs: Jobs, job_id: str, step: str) -> None:
    wait_until(lambda: jobs.get(job_id).step == step and len(jobs.events(job_id)) > 3, f"step {step}")


def test_a_job_succeeds_and_tells_everything_in_order(jobs: Jobs, home: Path) -> None:
    job_id = submit(jobs, note="hello")
    assert jobs.get(job_id).state in (State.QUEUED, State.RUNNING)
    assert wait_over(jobs, job_id) is State.SUCCEEDED
    job = jobs.get(job_id)
    assert job.result is not None
    assert job.result["model"] == "toy"
    assert (job.request, job.key_id, job.error, job.progress) == ({"note": "hello"}, "0a1b2c3d", None, 1.0)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at
    events = jobs.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    states = [event.body["state"] for event in events if event.kind == "state"]
    assert states == ["queued", "running", "succeeded"]
    assert events[-1].body["result"] == job.result
    steps = [event.body["step"] for event in events if event.kind == "progress"]
    assert list(dict.fromkeys(steps)) == ["fetch", "first", "second", "register"]
    shares = [event.body["progress"] for event in events if "progress" in event.body]
    assert shares == [0.3, 0.6]
    assert jobs.events(job_id, after=events[-2].seq) == [events[-1]]
    wait_until(lambda: [path.name for path in (home / job_id).iterdir()] == ["log.txt"], "clearing away")


def test_jobs_are_listed_newest_first_and_by_project(jobs: Jobs) -> None:
    before = jobs.counts()["succeeded"]
    first, second, other = (jobs.submit(project, "toy", {}, "k") for project in ("listed", "listed", "other"))
    assert [job.id for job in jobs.list("listed")] == [second, first]
    assert {first, second, other} >= {job.id for job in jobs.unfinished()}
    for job_id in (first, second, other):
        wait_over(jobs, job_id)
    assert jobs.counts()["succeeded"] == before + 3
    assert jobs.unfinished() == []


def test_jobs_wait_for_their_turn_in_order(jobs: Jobs) -> None:
    ids = [submit(jobs, first="blink") for _ in range(3)]
    wait_over(jobs, ids[-1])
    ended = [jobs.get(job_id).finished_at for job_id in ids]
    started = [jobs.get(job_id).started_at for job_id in ids]
    assert all(
        later >= earlier for earlier, later in zip(ended, started[1:], strict=False) if earlier and later
    )


def test_what_can_never_work_is_refused_at_once(jobs: Jobs) -> None:
    with pytest.raises(Malformed, match="there are no jobs of the kind 'toys'; there is toy"):
        jobs.submit("default", "toys", {}, "k")
    with pytest.raises(Malformed, match="a toy has no step 'third'"):
        submit(jobs, third="x")
    for ask in (jobs.get, jobs.events, jobs.log, jobs.cancel):
        with pytest.raises(NotFound, match="there is no job 'job-1'"):
            ask("job-1")


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ("quit", "the step 'first' ended with exit code 3; the last lines of its log: line one / line two"),
        ("crash", "the step 'first' crashed (SIGSEGV); the last lines of its log: about to crash"),
        (
            "kill",
            "the step 'first' was killed (SIGKILL), most likely because the machine had no memory left",
        ),
        ("refuse", "the toy is broken; buy another one"),
        ("nothing", "the step 'first' ended with exit code 0"),
    ],
)
def test_a_child_that_ends_badly_fails_its_job_with_a_reason(jobs: Jobs, behaviour: str, told: str) -> None:
    job_id = submit(jobs, first=behaviour)
    assert wait_over(jobs, job_id) is State.FAILED
    assert jobs.get(job_id).error == told
    last = jobs.events(job_id)[-1]
    assert (last.kind, last.body) == ("state", {"state": "failed", "error": told})


def test_a_child_that_goes_on_where_it_was_is_started_again_when_it_is_killed(jobs: Jobs, home: Path) -> None:
    job_id = submit(jobs, second="kill once")
    assert wait_over(jobs, job_id) is State.SUCCEEDED
    told = [event.body.get("text") for event in jobs.events(job_id)]
    assert "it was killed (SIGKILL), most likely because the machine had no memory left, and goes on" in told


def test_a_child_that_is_killed_again_and_again_fails_its_job(jobs: Jobs, home: Path) -> None:
    job_id = submit(jobs, second="kill")
    assert wait_over(jobs, job_id) is State.FAILED
    assert "the step 'second' was killed (SIGKILL)" in str(jobs.get(job_id).error)
    assert (home / f"starts-{job_id}.txt").read_text().count("second") == 3


def test_a_child_sees_no_secret_and_may_babble(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FOREBAY_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "hush")
    job_id = submit(jobs, first="leak", second="babble")
    assert wait_over(jobs, job_id) is State.SUCCEEDED
    events = jobs.events(job_id)
    assert "secrets: []" in [event.body.get("text") for event in events]
    values = [event.body["value"] for event in events if event.kind == "metric"]
    assert values[6:9] == [6.0, None, 8.0]


def test_a_running_job_is_cancelled_with_all_its_processes(jobs: Jobs, home: Path) -> None:
    job_id = submit(jobs, first="stubborn")
    wait_until(
        lambda: any(event.body.get("text") == "stubborn" for event in jobs.events(job_id)), "the child"
    )
    assert jobs.cancel(job_id).state is State.RUNNING
    assert wait_over(jobs, job_id, wait_s=10.0) is State.CANCELLED
    assert set(starts(home, job_id)) == {"first", "helper"}
    assert not any(alive(pid) for pid in starts(home, job_id).values())
    assert jobs.cancel(job_id).state is State.CANCELLED
    assert jobs.get(job_id).result is None


def alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has asked after yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_queued_job_is_cancelled_at_once_and_never_starts(jobs: Jobs, home: Path) -> None:
    first, second = submit(jobs, first="sleep"), submit(jobs)
    wait_at(jobs, first, "first")
    assert jobs.cancel(second).state is State.CANCELLED
    jobs.cancel(first)
    assert wait_over(jobs, first) is State.CANCELLED
    wait_over(jobs, submit(jobs))
    assert starts(home, second) == {}


def test_a_job_that_is_over_cannot_be_cancelled(jobs: Jobs) -> None:
    job_id = submit(jobs)
    wait_over(jobs, job_id)
    with pytest.raises(Conflict, match="the job is succeeded already and cannot become cancelled"):
        jobs.cancel(job_id)


def test_the_log_of_a_job_outlives_it(jobs: Jobs) -> None:
    job_id = submit(jobs, first="quit")
    wait_over(jobs, job_id)
    assert jobs.log(job_id) == "line one\nline two\n"
