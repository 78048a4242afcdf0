"""Models, versions and aliases over HTTP."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest

from forebay.control.access import Role
from forebay.control.registry import VersionRecord
from forebay.core import INFO_NAME
from support.artifacts import INFO, register
from support.hub import RunningHub

MODELS = "/api/v1/projects/default/models"


@pytest.fixture
def digits(hub: RunningHub) -> list[VersionRecord]:
    """Two versions of the model `digits`."""
    return [register(hub.services.registry, hub.services.blobs, job=job) for job in ("a", "b")]


def detail(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


def test_a_project_without_models_has_an_empty_list(developer: httpx.Client) -> None:
    assert developer.get(MODELS).json() == {"items": []}


def test_models_are_shown_with_their_newest_version(
    developer: httpx.Client, digits: list[VersionRecord]
) -> None:
    developer.put(f"{MODELS}/digits/aliases/champion", json={"version": 1})
    [shown] = developer.get(MODELS).json()["items"]
    assert developer.get(f"{MODELS}/digits").json() == shown
    assert (shown["project"], shown["name"], shown["task"]) == ("default", "digits", "regression")
    assert (shown["latest"], shown["versions"]) == (2, 2)
    assert [(alias["name"], alias["version"]) for alias in shown["aliases"]] == [("champion", 1)]
    assert shown["created_at"].endswith("Z")


def test_a_version_is_shown_with_all_that_was_said_of_it(
    developer: httpx.Client, digits: list[VersionRecord]
) -> None:
    shown = developer.get(f"{MODELS}/digits/versions/1").json()
    files = shown.pop("files")
    created_at = shown.pop("created_at")
    assert shown == {
        "project": "default",
        "model": "digits",
        "version": 1,
        "digest": digits[0].artifact,
        "size_bytes": sum(file["size_bytes"] for file in files),
        "task": "regression",
        "backend": "onnxruntime",
        "code": False,
        "signature": {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "columns": [], "nan": True}],
            "outputs": [
                {"name": "prediction", "datatype": "FP32", "shape": [-1], "columns": [], "nan": True}
            ],
        },
        "card": "# Digits",
        "lineage": {"run": 7},
        "evidence": [{"metric": "accuracy", "value": 0.97}],
        "aliases": [],
        "state": "active",
        "retired_at": None,
    }
    assert [file["path"] for file in files] == [INFO_NAME, "model.onnx"]
    assert created_at.endswith("Z")


def test_a_version_has_many_names(developer: httpx.Client, digits: list[VersionRecord]) -> None:
    developer.put(f"{MODELS}/digits/aliases/champion", json={"version": 1})
    for which, number in {"1": 1, "2": 2, "latest": 2, "champion": 1}.items():
        assert developer.get(f"{MODELS}/digits/versions/{which}").json()["version"] == number


def test_what_is_not_there_is_answered_with_what_there_is(
    developer: httpx.Client, digits: list[VersionRecord]
) -> None:
    for path, status, sentence in (
        ("digit", 404, "the project 'default' has no model 'digit'; did you mean 'digits'?"),
        ("digits/versions/7", 404, "the model 'digits' has no version 7; it has the versions 1 to 2"),
        ("digits/versions/0", 400, "write digits:1, digits@alias or digits"),
        ("digits/versions/champion", 404, "has no alias 'champion'; there are none yet"),
        ("digits/versions/1/files/model.pt", 404, "has no file 'model.pt'; it has forebay.json, model.onnx"),
        ("digit/versions", 404, "did you mean 'digits'?"),
        ("digit/aliases", 404, "did you mean 'digits'?"),
        ("a%00b", 400, "holds a NUL"),
    ):
        answer = developer.get(f"{MODELS}/{path}")
        assert answer.status_code == status, path
        assert sentence in detail(answer)


def test_the_files_of_a_version_come_down_byte_by_byte(
    developer: httpx.Client, digits: list[VersionRecord]
) -> None:
    info = developer.get(f"{MODELS}/digits/versions/1/files/{INFO_NAME}")
    assert info.content == INFO.encode()
    assert info.headers["content-disposition"] == f'attachment; filename="{INFO_NAME}"'
    assert developer.get(f"{MODELS}/digits/versions/latest/files/model.onnx").content == b"b"


def test_a_file_that_is_gone_or_damaged_is_said_to_be(
    hub: RunningHub, developer: httpx.Client, digits: list[VersionRecord]
) -> None:
    hub.services.blobs.delete(hashlib.sha256(b"a").hexdigest())
    answer = developer.get(f"{MODELS}/digits/versions/1/files/model.onnx")
    assert answer.status_code == 500
    assert "is damaged: upload it again, which mends it" in detail(answer)


def test_a_retired_version_is_listed_but_no_longer_the_newest(
    developer: httpx.Client, digits: list[VersionRecord]
) -> None:
    assert developer.delete(f"{MODELS}/digits/versions/2").status_code == 204
    assert developer.delete(f"{MODELS}/digits/versions/2").status_code == 204
    listed = developer.get(f"{MODELS}/digits/versions").json()["items"]
    assert [(version["version"], version["state"]) for version in listed] == [(1, "active"), (2, "retired")]
    assert listed[1]["retired_at"].endswith("Z")
    assert developer.get(f"{MODELS}/digits").json()["latest"] == 1


def test_a_version_in_use_is_not_retired(developer: httpx.Client, digits: list[VersionRecord]) -> None:
    developer.put("/api/v1/projects/default/deployments/digits", json={"targets": [{"version": 1}]})
    answer = developer.delete(f"{MODELS}/digits/versions/1")
    assert answer.status_code == 409
    assert detail(answer) == "version 1 of 'digits' is used by the deployment 'digits'; change that first"


def test_aliases_are_set_moved_and_removed(developer: httpx.Client, digits: list[VersionRecord]) -> None:
    set_to = [
        developer.put(f"{MODELS}/digits/aliases/champion", json={"version": version}).json()
        for version in (1, 2)
    ]
    assert [(alias["name"], alias["version"]) for alias in set_to] == [("champion", 1), ("champion", 2)]
    assert developer.get(f"{MODELS}/digits/aliases").json()["items"] == set_to[1:]
    assert developer.delete(f"{MODELS}/digits/aliases/champion").status_code == 204
    assert developer.get(f"{MODELS}/digits/aliases").json() == {"items": []}
    assert developer.delete(f"{MODELS}/digits/aliases/champion").status_code == 404


def test_an_alias_takes_a_number_and_nothing_else(
    developer: httpx.Client, digits: list[VersionRecord]
) -> None:
    place = f"{MODELS}/digits/aliases/champion"
    bodies: list[Any] = [{}, {"version": "1"}, {"version": 0}, {"version": 1.5}, {"version": True}, []]
    for body in [*bodies, {"version": 1, "x": 1}]:
        answer = developer.put(place, json=body)
        assert answer.status_code == 400, f"{body}: {answer.text}"
    assert developer.get(f"{MODELS}/digits/aliases").json() == {"items": []}


def test_a_key_for_other_models_sees_no_version_of_this_one(
    hub: RunningHub, digits: list[VersionRecord]
) -> None:
    holder = hub.holder(Role.DEVELOPER, models=["prices"])
    assert holder.get(f"{MODELS}/digits/versions/1").status_code == 403
    assert holder.put(f"{MODELS}/digits/aliases/x", json={"version": 1}).status_code == 403


def test_a_key_that_may_only_predict_cannot_look(hub: RunningHub, digits: list[VersionRecord]) -> None:
    assert hub.holder(Role.INFERENCE).get(f"{MODELS}/digits/versions/1").status_code == 403
