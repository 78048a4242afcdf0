"""How long a job may work, and how many at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from forebay.control.jobs import Jobs, State
from forebay.control.store import Database
from forebay.core.errors import Conflict, Malformed
from support.toy_jobs import jobs_at_work, toy_kinds, wait_over, wait_until

pytestmark = pytest.mark.slow


def test_a_job_that_works_too_long_fails(database: Database, system_url: str, folder: Path) -> None:
    with jobs_at_work(database, system_url, folder, time_limit_s=1.0) as jobs:
        job_id = jobs.submit("default", "toy", {"first": "sleep"}, "k")
        assert wait_over(jobs, job_id, wait_s=10.0) is State.FAILED
        assert (
            jobs.get(job_id).error == "the job worked longer than its 1 s; give it less to do, or more time"
        )


def test_a_search_that_plans_with_more_time_than_there_is_is_refused_at_once(
    database: Database, system_url: str, folder: Path
) -> None:
    with jobs_at_work(database, system_url, folder, time_limit_s=60.0) as jobs:
        with pytest.raises(Malformed, match="time_budget_s asks for 61 s, and a job may work 60 s here"):
            jobs.submit("default", "toy", {"time_budget_s": 61.0}, "k")
        assert jobs.list("default") == []
        job_id = jobs.submit("default", "toy", {"time_budget_s": 60.0}, "k")
        assert wait_over(jobs, job_id) is State.SUCCEEDED


def test_several_children_work_at_once_where_they_may(
    database: Database, system_url: str, folder: Path
) -> None:
    with jobs_at_work(database, system_url, folder, children=2) as jobs:
        ids = [jobs.submit("default", "toy", {"first": "sleep"}, "k") for _ in range(3)]
        wait_until(lambda: [jobs.get(one).step for one in ids] == ["first", "first", ""], "two at work")
        for one in ids:
            jobs.cancel(one)
        assert {wait_over(jobs, one) for one in ids} == {State.CANCELLED}


def test_two_engines_in_one_process_are_refused(database: Database, system_url: str, folder: Path) -> None:
    with (
        jobs_at_work(database, system_url, folder),
        pytest.raises(Conflict, match="jobs are at work in this process already"),
    ):
        Jobs(database, system_url, folder, {}).start()


def test_a_hub_that_stops_leaves_its_jobs_and_goes_on_when_it_is_back(
    database: Database, system_url: str, folder: Path
) -> None:
    with jobs_at_work(database, system_url, folder) as jobs:
        job_id = jobs.submit("default", "toy", {"first": "sleep once"}, "k")
        wait_until((folder / f"rested-{job_id}").exists, "the child")
    assert jobs.get(job_id).state is State.RUNNING
    with jobs_at_work(database, system_url, folder) as jobs:
        assert wait_over(jobs, job_id) is State.SUCCEEDED


def test_a_job_that_takes_the_hub_down_again_and_again_is_given_up(
    database: Database, system_url: str, folder: Path
) -> None:
    jobs = Jobs(database, system_url, folder, toy_kinds())
    jobs._book.add("job-bad", "default", "toy", {}, "k")
    for _ in range(10):
        jobs._book.begin("job-bad")
    with jobs_at_work(database, system_url, folder) as jobs:
        assert wait_over(jobs, "job-bad") is State.FAILED
    assert str(jobs.get("job-bad").error).startswith("the hub stopped 10 times while this job worked")


def test_an_engine_with_nothing_to_do_rests_and_a_job_wakes_it(
    database: Database, system_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay.control.jobs.durable._LINGER_S", 0.3)
    with jobs_at_work(database, system_url, folder) as jobs:
        for _ in range(2):
            wait_until(lambda: not polling(), "the engine to rest")
            job_id = jobs.submit("default", "toy", {}, "k")
            assert polling()
            assert wait_over(jobs, job_id) is State.SUCCEEDED
        slow = jobs.submit("default", "toy", {"first": "rest"}, "k")
        assert wait_over(jobs, slow) is State.SUCCEEDED
        wait_until(lambda: not polling(), "the engine to rest again")
    with jobs_at_work(database, system_url, folder):
        assert polling()
    assert not polling()


def polling() -> bool:
    """Whether anything looks again and again for work."""
    return any(thread.name == "dbos-background-jobs" for thread in threading.enumerate())


def test_an_engine_that_never_started_stops_without_harm(
    database: Database, system_url: str, folder: Path
) -> None:
    Jobs(database, system_url, folder, {}).stop()
    assert not polling()
