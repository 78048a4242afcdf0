"""Bad days: the disk is full, or something is wrong that nobody foresaw."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from forebay.control.jobs import Jobs, State
from support.toy_jobs import wait_over

pytestmark = pytest.mark.slow


@pytest.fixture
def jobs(jobs_and_folder: tuple[Jobs, Path]) -> Jobs:
    return jobs_and_folder[0]


def test_a_full_disk_fails_the_job_with_a_sentence(jobs: Jobs) -> None:
    job_id = jobs.submit("default", "toy", {"fetch": "full"}, "k")
    assert wait_over(jobs, job_id) is State.FAILED
    assert jobs.get(job_id).error == "the hub's disk is full; free some space there and submit the job again"


def test_what_nobody_foresaw_is_in_the_log_and_not_in_the_answer(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "forebay.jobs"):
        job_id = jobs.submit("default", "toy", {"fetch": "odd"}, "k")
        assert wait_over(jobs, job_id) is State.FAILED
    assert jobs.get(job_id).error == "something went wrong here; the log has the details"
    assert "/home/ada/secret" in caplog.text
