"""Versions: numbered, immutable, found by every name they have."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.orm import Session

from forebay.control.registry import Registry
from forebay.control.store import Blobs
from forebay.core import ArtifactInfo, ModelRef
from forebay.core.errors import Conflict, Malformed, NotFound
from support.artifacts import INFO, put_artifact, register


def test_what_was_registered_is_what_is_found(registry: Registry, blobs: Blobs) -> None:
    made = register(registry, blobs, card="# Ziffern ☂")
    found = registry.version("default", ModelRef("digits", version=1))
    assert found == made
    assert (found.card, found.lineage, found.state) == ("# Ziffern ☂", {"run": 7}, "active")
    assert found.evidence == [{"metric": "accuracy", "value": 0.97}]
    assert found.info == INFO
    assert found.artifact == found.manifest.digest


def test_versions_count_from_one(registry: Registry, blobs: Blobs) -> None:
    numbers = [register(registry, blobs, job=f"job-{n}").version for n in range(3)]
    other = register(registry, blobs, model="prices", job="job-9").version
    assert (numbers, other) == ([1, 2, 3], 1)


def test_a_job_that_starts_again_gets_the_version_it_has_made(registry: Registry, blobs: Blobs) -> None:
    first = register(registry, blobs)
    assert register(registry, blobs) == first
    assert len(registry.versions("default", "digits")) == 1


def test_the_same_bytes_published_by_another_job_are_another_version(
    registry: Registry, blobs: Blobs
) -> None:
    manifest = put_artifact(blobs)
    made = [
        registry.register_version("default", "digits", manifest, INFO, "", {}, [], job_id=job) for job in "ab"
    ]
    assert [version.version for version in made] == [1, 2]
    assert made[0].artifact == made[1].artifact


def test_many_who_publish_at_once_get_numbers_without_gaps(registry: Registry, blobs: Blobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: register(registry, blobs, job=f"job-{n}").version, range(24)))
    assert sorted(made) == list(range(1, 25))
    assert [version.version for version in registry.versions("default", "digits")] == list(range(1, 25))


def test_one_job_run_twice_at_once_registers_once(registry: Registry, blobs: Blobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: register(registry, blobs), range(8)))
    assert {version.version for version in made} == {1}
    assert registry.model("default", "digits").versions == 1


def test_a_version_without_its_files_is_refused(registry: Registry, blobs: Blobs) -> None:
    manifest = put_artifact(blobs)
    blobs.delete(manifest.files[1].sha256)
    with pytest.raises(Malformed, match=r"upload these files first.*'model.onnx'"):
        registry.register_version("default", "digits", manifest, INFO, "", {}, [], job_id="a")
    with pytest.raises(NotFound, match="there are none yet"):
        registry.model("default", "digits")


@pytest.mark.parametrize(
    "said",
    [{"lineage": {"loss": math.nan}}, {"evidence": [{"at": object()}]}, {"card": "a\0b"}, {"card": "\ud800"}],
)
def test_what_no_database_can_keep_is_refused_at_once(
    registry: Registry, blobs: Blobs, said: dict[str, Any]
) -> None:
    with pytest.raises(Malformed):
        register(registry, blobs, **said)
    assert registry.models("default") == []


def test_a_model_without_versions_asked_for_its_newest(registry: Registry, blobs: Blobs) -> None:
    register(registry, blobs)
    registry.retire("default", "digits", 1)
    with pytest.raises(NotFound, match="every version of the model 'digits' is retired; publish a new one"):
        registry.version("default", ModelRef("digits"))


def test_the_newest_active_version_is_meant_when_none_is_named(registry: Registry, blobs: Blobs) -> None:
    for n in range(3):
        register(registry, blobs, job=f"job-{n}")
    registry.retire("default", "digits", 3)
    assert registry.version("default", ModelRef("digits")).version == 2
    assert registry.model("default", "digits").latest == 2
    assert registry.version("default", ModelRef("digits", version=3)).state == "retired"


def test_a_retired_number_is_not_given_again(registry: Registry, blobs: Blobs) -> None:
    register(registry, blobs)
    registry.retire("default", "digits", 1)
    registry.retire("default", "digits", 1)
    assert register(registry, blobs, job="job-2").version == 2


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("digit", "the project 'default' has no model 'digit'; did you mean 'digits'?"),
        ("zebra", "the project 'default' has no model 'zebra'; there are 'digits', 'prices'"),
        ("digits:7", "the model 'digits' has no version 7; it has only version 1"),
        (
            "digits:99999999999999999999",
            "the model 'digits' has no version 99999999999999999999; it has only version 1",
        ),
        ("digits@champoin", "the model 'digits' has no alias 'champoin'; did you mean 'champion'?"),
        ("prices@x", "the model 'prices' has no alias 'x'; there are none yet"),
        ("digts@champion", "the project 'default' has no model 'digts'; did you mean 'digits'?"),
    ],
)
def test_a_name_nobody_knows_is_answered_with_what_there_is(
    registry: Registry, blobs: Blobs, ref: str, sentence: str
) -> None:
    register(registry, blobs)
    register(registry, blobs, model="prices", job="job-2")
    registry.set_alias("default", "digits", "champion", 1)
    with pytest.raises(NotFound) as refusal:
        registry.version("default", ModelRef.parse(ref))
    assert str(refusal.value) == sentence


def test_a_model_of_another_project_is_not_found(registry: Registry, blobs: Blobs) -> None:
    register(registry, blobs)
    with pytest.raises(NotFound):
        registry.version("other", ModelRef("digits"))


def test_models_are_listed_by_name_with_task_and_newest_version(registry: Registry, blobs: Blobs) -> None:
    register(registry, blobs, model="b.x", job="1")
    register(registry, blobs, model="b-x", job="2")
    register(registry, blobs, model="a", job="3")
    listed = [(model.name, model.latest, model.task) for model in registry.models("default")]
    assert listed == [("a", 1, "regression"), ("b-x", 1, "regression"), ("b.x", 1, "regression")]


def test_only_files_of_active_versions_are_referenced(registry: Registry, blobs: Blobs) -> None:
    first, second = (register(registry, blobs, job=job) for job in ("a", "b"))
    registry.retire("default", "digits", 1)
    assert registry.referenced() == {entry.sha256 for entry in second.manifest.files}
    assert registry.manifest(first.artifact) == first.manifest


def test_an_artifact_nobody_published_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound):
        registry.manifest("0" * 64)


def test_a_bad_model_name_is_refused(registry: Registry, blobs: Blobs) -> None:
    with pytest.raises(Malformed, match="is no model name"):
        register(registry, blobs, model="My Model")


class Somebody:
    """Who uses version 1 of every model."""

    def users_of_version(self, _session: Session, _project: str, model: str, version: int) -> list[str]:
        return [f"the show of {model}"] if version == 1 else []

    def users_of_alias(self, _session: Session, _project: str, _model: str, _alias: str) -> list[str]:
        return []


def test_a_version_in_use_is_not_retired(registry: Registry, blobs: Blobs) -> None:
    registry.ask_before_removing(Somebody())
    register(registry, blobs)
    with pytest.raises(
        Conflict, match="version 1 of 'digits' is used by the show of digits; change that first"
    ):
        registry.retire("default", "digits", 1)
    assert registry.version("default", ModelRef("digits")).state == "active"


def test_the_signature_survives_the_database(registry: Registry, blobs: Blobs) -> None:
    register(registry, blobs)
    assert ArtifactInfo.decode(registry.version("default", ModelRef("digits")).info.encode()) == INFO
