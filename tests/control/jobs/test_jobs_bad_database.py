"""Bad days: the database is locked or away while a job works."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import text

from forebay.control.jobs import State
from forebay.control.store import Database, migrate
from support.postgres import Cluster
from support.toy_jobs import jobs_at_work, wait_over, wait_until

pytestmark = pytest.mark.slow


def test_a_locked_database_makes_a_job_wait_and_not_fail(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'hub.db'}", wait_s=0.2)
    migrate(database)
    with jobs_at_work(database, f"sqlite:///{tmp_path / 'jobs.db'}", tmp_path / "jobs") as jobs:
        job_id = jobs.submit("default", "toy", {"first": "blink"}, "k")
        wait_until(lambda: jobs.get(job_id).step == "first", "the child")
        with database.write() as session:
            session.execute(text("UPDATE hub_state SET snapshot = snapshot"))
            time.sleep(2.0)
        assert wait_over(jobs, job_id) is State.SUCCEEDED
    database.close()


@pytest.mark.postgresql
def test_a_database_that_goes_away_and_comes_back_costs_no_job(tmp_path: Path) -> None:
    cluster = Cluster()
    url = cluster.url(cluster.create())
    database = Database(url, wait_s=0.5)
    migrate(database)
    try:
        with jobs_at_work(database, url, tmp_path / "jobs") as jobs:
            job_id = jobs.submit("default", "toy", {"first": "rest"}, "k")
            wait_until(lambda: jobs.get(job_id).step == "first", "the child")
            cluster.stop()
            time.sleep(4.0)
            cluster.start()
            assert wait_over(jobs, job_id, 60.0) is State.SUCCEEDED
    finally:
        database.close()
        cluster.close()
