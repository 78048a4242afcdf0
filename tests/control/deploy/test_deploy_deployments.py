"""Deployments: what a model name answers with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from forebay.control.deploy import Deployments, Wish
from forebay.control.registry import Registry
from forebay.core import Limits
from forebay.core.errors import Conflict, Malformed, NotFound


def versions(deployments: Deployments) -> list[tuple[int, int]]:
    return [(target.version, target.weight) for target in deployments.get("default", "digits").targets]


def test_without_a_wish_the_newest_version_is_deployed(deployments: Deployments) -> None:
    made = deployments.put("default", "digits")
    assert versions(deployments) == [(2, 1)]
    assert deployments.get("default", "digits") == made
    assert deployments.list("default") == (made,)


def test_the_newest_version_stays_deployed_when_a_newer_one_is_published(
    deployments: Deployments, registry: Registry
) -> None:
    registry.retire("default", "digits", 2)
    deployments.put("default", "digits")
    assert versions(deployments) == [(1, 1)]


def test_traffic_is_split_by_weight_in_the_order_given(deployments: Deployments) -> None:
    deployments.put(
        "default", "digits", [Wish(2, weight=1), Wish(1, weight=9)], Limits(batch_rows=8, wait_s=0.01)
    )
    assert versions(deployments) == [(2, 1), (1, 9)]
    assert deployments.get("default", "digits").limits == Limits(batch_rows=8, wait_s=0.01)


def test_deploying_again_replaces_targets_and_limits(deployments: Deployments) -> None:
    first = deployments.put("default", "digits", [Wish(1), Wish(2)], Limits(batch_rows=8))
    second = deployments.put("default", "digits", [Wish(1)])
    assert versions(deployments) == [(1, 1)]
    assert second.limits == Limits()
    assert second.revision > first.revision
    assert second.created_at == first.created_at


@pytest.mark.parametrize(
    ("wishes", "limits", "sentence"),
    [
        ([Wish(1, weight=0)], Limits(), "weight is a whole number from 1"),
        ([Wish(1, weight=-3)], Limits(), "weight is a whole number from 1"),
        ([Wish(1), Wish(1)], Limits(), "version 1 is named twice"),
        ([Wish(2), Wish()], Limits(), "version 2 is named twice"),
        ([Wish(1, "champion")], Limits(), "a version or an alias, not both"),
        ([Wish(1)] * 17, Limits(), "at most 16 targets, not 17"),
        ([], Limits(batch_rows=0), "limits.batch_rows is 0"),
        ([], Limits(wait_s=float("nan")), "limits.wait_s is nan"),
        ([], Limits(wait_s=-1), "from 0 to 60 seconds"),
        ([], Limits(cache_bytes=-1), "limits.cache_bytes is -1"),
        ([], Limits(batch_rows=9, queue_rows=8), "a batch of 9 would never be full"),
    ],
)
def test_what_can_never_work_is_refused(
    deployments: Deployments, wishes: list[Wish], limits: Limits, sentence: str
) -> None:
    with pytest.raises(Malformed, match=sentence):
        deployments.put("default", "digits", wishes, limits)
    assert deployments.list("default") == ()


@pytest.mark.parametrize(
    ("model", "wish", "sentence"),
    [
        ("digit", Wish(), "did you mean 'digits'"),
        ("digits", Wish(3), "it has the versions 1 to 2"),
        ("digits", Wish(alias="champion"), "no alias 'champion'"),
    ],
)
def test_what_is_not_there_cannot_be_deployed(
    deployments: Deployments, model: str, wish: Wish, sentence: str
) -> None:
    with pytest.raises(NotFound, match=sentence):
        deployments.put("default", model, [wish])


def test_a_retired_version_cannot_be_deployed(deployments: Deployments, registry: Registry) -> None:
    registry.retire("default", "digits", 1)
    with pytest.raises(Conflict, match="version 1 of 'digits' is retired"):
        deployments.put("default", "digits", [Wish(1)])


def test_a_deployed_version_is_not_retired(deployments: Deployments, registry: Registry) -> None:
    deployments.put("default", "digits", [Wish(1)])
    with pytest.raises(Conflict, match="version 1 of 'digits' is used by the deployment 'digits'"):
        registry.retire("default", "digits", 1)
    registry.retire("default", "digits", 2)
    deployments.delete("default", "digits")
    registry.retire("default", "digits", 1)


def test_an_alias_that_is_followed_is_not_removed(deployments: Deployments, registry: Registry) -> None:
    registry.set_alias("default", "digits", "champion", 1)
    deployments.put("default", "digits", [Wish(alias="champion")])
    with pytest.raises(Conflict, match="the alias 'champion' of 'digits' is used by the deployment 'digits'"):
        registry.remove_alias("default", "digits", "champion")
    with pytest.raises(Conflict, match="the alias 'champion'"):
        registry.retire("default", "digits", 1)


def test_a_deployment_follows_its_alias(deployments: Deployments, registry: Registry) -> None:
    registry.set_alias("default", "digits", "champion", 1)
    before = deployments.put("default", "digits", [Wish(alias="champion")])
    registry.set_alias("default", "digits", "champion", 2)
    after = deployments.get("default", "digits")
    assert [(target.version, target.alias) for target in before.targets] == [(1, "champion")]
    assert [(target.version, target.alias) for target in after.targets] == [(2, "champion")]
    assert after.revision == before.revision
    assert after.snapshot > before.snapshot


def test_whoever_deploys_on_an_old_revision_is_told(deployments: Deployments) -> None:
    first = deployments.put("default", "digits", revision=0)
    second = deployments.put("default", "digits", [Wish(1)], revision=first.revision)
    with pytest.raises(Conflict, match=f"the revision is {second.revision}, not {first.revision}"):
        deployments.put("default", "digits", [Wish(2)], revision=first.revision)
    with pytest.raises(Conflict, match="somebody has deployed meanwhile"):
        deployments.delete("default", "digits", revision=first.revision)
    assert versions(deployments) == [(1, 1)]


def test_a_deployment_made_anew_has_a_revision_never_seen_before(deployments: Deployments) -> None:
    first = deployments.put("default", "digits")
    deployments.delete("default", "digits", revision=first.revision)
    assert deployments.put("default", "digits", revision=0).revision > first.revision


def test_of_many_who_deploy_at_once_on_one_revision_one_wins(deployments: Deployments) -> None:
    start = deployments.put("default", "digits").revision

    def deploy(number: int) -> Any:
        try:
            return deployments.put("default", "digits", [Wish(number % 2 + 1)], revision=start)
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(deploy, range(8)) if one is not None]
    assert made == [deployments.get("default", "digits")]


def test_many_who_deploy_at_once_leave_one_whole_deployment(deployments: Deployments) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda n: deployments.put("default", "digits", [Wish(n % 2 + 1, weight=n + 1)]), range(16)
            )
        )
    assert deployments.get("default", "digits") == max(made, key=lambda one: one.revision)


def test_either_the_deployment_or_the_retirement_wins(deployments: Deployments, registry: Registry) -> None:
    with ThreadPoolExecutor(2) as pool:
        deployed = pool.submit(deployments.put, "default", "digits", [Wish(1)])
        retired = pool.submit(registry.retire, "default", "digits", 1)
    assert [deployed.exception() is None, retired.exception() is None].count(True) == 1


def test_what_is_not_deployed_cannot_be_found_or_deleted(deployments: Deployments) -> None:
    with pytest.raises(NotFound, match="'digits' is not deployed in the project 'default'; deploy it first"):
        deployments.get("default", "digits")
    with pytest.raises(NotFound, match="is not deployed"):
        deployments.delete("default", "digits")
