"""Deployments in words."""

from __future__ import annotations

import pytest

from forebay.client.results import Deployment, NodeShare, NodeVersion, Target, Version
from forebay.client.rollout import behind, body_for, failures, ref_of
from forebay.core import ModelRef, Signature
from forebay.core.errors import Malformed

DIGITS = Version("default", "digits", 3, "0" * 64, 1, Signature((), ()))


@pytest.mark.parametrize("version", [3, DIGITS])
def test_a_version_is_meant_by_its_number_or_by_itself(version: Version | int) -> None:
    assert ref_of("digits", version) == ModelRef("digits", version=3)


@pytest.mark.parametrize(
    ("name", "version"), [("digits:1", 2), ("digits@a", "b"), ("prices", DIGITS), ("digits", 0)]
)
def test_what_contradicts_itself_is_refused(name: str, version: Version | int | str) -> None:
    with pytest.raises(Malformed):
        ref_of(name, version)


def test_weights_and_one_version_exclude_each_other() -> None:
    with pytest.raises(Malformed, match="leave it or the weights out"):
        body_for(ModelRef.parse("digits:1"), {1: 1}, {})


def test_an_alias_is_followed_by_the_hub() -> None:
    assert body_for(ModelRef.parse("digits@champion"), None, {}) == {
        "targets": [{"alias": "champion", "weight": 1}]
    }


def test_what_is_to_stay_in_memory_is_pinned() -> None:
    assert body_for(ModelRef.parse("digits:1"), None, {}, pin=True) == {
        "pin": True,
        "targets": [{"version": 1, "weight": 1}],
    }


def test_nothing_said_means_the_latest() -> None:
    assert body_for(ModelRef.parse("digits"), None, {"batch_rows": 8}) == {"limits": {"batch_rows": 8}}


def test_who_is_behind_is_said_by_node_and_version() -> None:
    loading = NodeVersion("digits", 3, "loading")
    failed = NodeVersion("digits", 3, "failed", error="the file is damaged")
    found = Deployment(
        "default", "digits", [Target(3)], nodes=[NodeShare("a", "", [loading]), NodeShare("b", "", [failed])]
    )
    assert behind(found) == "node a: version 3 is loading; node b: version 3 is failed (the file is damaged)"
    assert failures(found) == "node b cannot load digits:3: the file is damaged"
