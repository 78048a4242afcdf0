"""A hub that really trains and publishes, for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from forebay.control.access import Role
from forebay.control.hub.application import application
from forebay.control.hub.work.kinds import job_kinds
from forebay.control.jobs import Jobs
from forebay.control.store import Database, migrate
from support.hub import RunningHub, served, services_over

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="module", params=BOTH)
def working_hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    home = tmp_path_factory.mktemp("home")
    if request.param == "sqlite":
        url, system_url = f"sqlite:///{home / 'hub.db'}", f"sqlite:///{home / 'jobs.db'}"
    else:
        cluster = request.getfixturevalue("postgres")
        url = system_url = cluster.url(cluster.create())
    with closing(Database(url)) as database:
        migrate(database)
        services = services_over(database)
        kinds = job_kinds(services.blobs, services.registry, allow_code=True)
        jobs = Jobs(database, system_url, home / "jobs", kinds)
        jobs.start()
        try:
            services = replace(services, jobs=jobs)
            with served(application(services, "0.1.0")) as address, RunningHub(address, services) as hub:
                yield hub
        finally:
            jobs.stop()


@pytest.fixture(scope="module")
def developer(working_hub: RunningHub) -> httpx.Client:
    return working_hub.holder(Role.DEVELOPER)
