"""Aliases: movable names for versions."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from forebay.control.registry import Registry
from forebay.control.store import Blobs, Database, current
from forebay.core import ModelRef
from forebay.core.errors import Conflict, Malformed, NotFound
from support.artifacts import register


@pytest.fixture
def two_versions(registry: Registry, blobs: Blobs) -> Registry:
    for job in ("a", "b"):
        register(registry, blobs, job=job)
    return registry


def test_an_alias_moves(two_versions: Registry) -> None:
    two_versions.set_alias("default", "digits", "champion", 1)
    two_versions.set_alias("default", "digits", "champion", 2)
    assert two_versions.version("default", ModelRef.parse("digits@champion")).version == 2
    assert [(alias.name, alias.version) for alias in two_versions.aliases("default", "digits")] == [
        ("champion", 2)
    ]


def test_a_version_shows_its_aliases(two_versions: Registry) -> None:
    for alias, version in {"stable": 1, "champion": 1, "next": 2}.items():
        two_versions.set_alias("default", "digits", alias, version)
    shown = [version.aliases for version in two_versions.versions("default", "digits")]
    assert shown == [("champion", "stable"), ("next",)]


def test_an_alias_needs_a_version_that_is_there_and_active(two_versions: Registry) -> None:
    two_versions.retire("default", "digits", 1)
    with pytest.raises(Conflict, match="version 1 of 'digits' is retired"):
        two_versions.set_alias("default", "digits", "champion", 1)
    with pytest.raises(NotFound, match="it has the versions 1 to 2"):
        two_versions.set_alias("default", "digits", "champion", 3)
    with pytest.raises(Malformed, match="alias name"):
        two_versions.set_alias("default", "digits", "Ch@mpion", 2)


def test_a_version_with_an_alias_is_not_retired(two_versions: Registry) -> None:
    two_versions.set_alias("default", "digits", "champion", 1)
    with pytest.raises(Conflict, match="used by the alias 'champion'"):
        two_versions.retire("default", "digits", 1)
    two_versions.remove_alias("default", "digits", "champion")
    two_versions.retire("default", "digits", 1)


def test_an_alias_that_is_not_there_cannot_be_removed(two_versions: Registry) -> None:
    with pytest.raises(NotFound, match="no alias 'champion'"):
        two_versions.remove_alias("default", "digits", "champion")


def test_moving_an_alias_is_a_change_nodes_hear_of(two_versions: Registry, database: Database) -> None:
    heard: list[int] = []
    with database.read() as session:
        _, before = current(session)
    with database.changes.listening(lambda: heard.append(1)):
        two_versions.set_alias("default", "digits", "champion", 1)
    with database.read() as session:
        assert current(session)[1] == before + 1
    assert heard == [1]


def test_an_alias_moved_by_many_at_once_names_one_of_their_versions(two_versions: Registry) -> None:
    with ThreadPoolExecutor(8) as pool:
        moved = pool.map(
            lambda n: two_versions.set_alias("default", "digits", "champion", n % 2 + 1), range(16)
        )
        assert {alias.version for alias in moved} == {1, 2}
    assert two_versions.version("default", ModelRef.parse("digits@champion")).version in {1, 2}


def test_either_the_alias_or_the_retirement_wins(two_versions: Registry) -> None:
    with ThreadPoolExecutor(2) as pool:
        outcomes: list[Future[object]] = [
            pool.submit(two_versions.set_alias, "default", "digits", "champion", 1),
            pool.submit(two_versions.retire, "default", "digits", 1),
        ]
    failures = [outcome.exception() for outcome in outcomes]
    assert sum(isinstance(failure, Conflict) for failure in failures) == 1
