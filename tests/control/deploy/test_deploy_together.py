"""Registry and deployments together: whatever is done in whatever order, what is served is there."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from forebay.control.access import Access
from forebay.control.billing import limits_for_nodes
from forebay.control.deploy import Deployments, Wish
from forebay.control.registry import Registry, VersionRecord
from forebay.control.store import Database, MemoryBlobs, migrate
from forebay.core.errors import Conflict, Malformed, NotFound
from support.artifacts import register

pytestmark = pytest.mark.slow

MODELS = st.sampled_from(["digits", "prices"])
NUMBERS = st.integers(1, 4)
ALIASES = st.sampled_from(["champion", "challenger"])
WISHES = st.builds(Wish, NUMBERS) | st.builds(Wish, alias=ALIASES) | st.just(Wish())
REFUSED = suppress(Conflict, NotFound, Malformed)


class Hub(RuleBasedStateMachine):
    """Everything that may happen to models; each step does what it says or refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name) / 'hub.db'}")
        migrate(self.database)
        self.blobs = MemoryBlobs()
        self.registry = Registry(self.database, self.blobs)
        self.deployments = Deployments(
            self.database, self.registry, Access(self.database).grants, limits_for_nodes
        )
        self.jobs = 0
        self.last = self.deployments.snapshot()

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule(model=MODELS)
    def publish(self, model: str) -> None:
        self.jobs += 1
        before = [version.version for version in self._versions(model)]
        made = register(self.registry, self.blobs, model=model, job=f"job-{self.jobs}")
        assert made.version == len(before) + 1

    @rule(model=MODELS, version=NUMBERS)
    def retire(self, model: str, version: int) -> None:
        with REFUSED:
            self.registry.retire("default", model, version)

    @rule(model=MODELS, alias=ALIASES, version=NUMBERS)
    def set_alias(self, model: str, alias: str, version: int) -> None:
        with REFUSED:
            self.registry.set_alias("default", model, alias, version)

    @rule(model=MODELS, alias=ALIASES)
    def remove_alias(self, model: str, alias: str) -> None:
        with REFUSED:
            self.registry.remove_alias("default", model, alias)

    @rule(model=MODELS, wishes=st.lists(WISHES, max_size=3))
    def deploy(self, model: str, wishes: list[Wish]) -> None:
        with REFUSED:
            self.deployments.put("default", model, wishes)

    @rule(model=MODELS)
    def delete(self, model: str) -> None:
        with REFUSED:
            self.deployments.delete("default", model)

    @invariant()
    def what_is_served_is_there_and_active(self) -> None:
        snapshot = self.deployments.snapshot()
        for deployment in snapshot.deployments:
            active = {
                one.version: one.artifact for one in self._versions(deployment.model) if one.state == "active"
            }
            assert deployment.targets
            for target in deployment.targets:
                assert active[target.version] == target.artifact
                assert target.weight > 0

    @invariant()
    def an_alias_names_an_active_version(self) -> None:
        for model in ("digits", "prices"):
            retired = [one for one in self._versions(model) if one.state == "retired"]
            assert [one.aliases for one in retired] == [()] * len(retired)

    @invariant()
    def a_snapshot_says_something_else_only_with_a_later_number(self) -> None:
        snapshot = self.deployments.snapshot()
        assert snapshot.number >= self.last.number
        if snapshot.number == self.last.number:
            assert snapshot == self.last
        self.last = snapshot

    def _versions(self, model: str) -> list[VersionRecord]:
        try:
            return self.registry.versions("default", model)
        except NotFound:
            return []


TestHub = Hub.TestCase
TestHub.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
