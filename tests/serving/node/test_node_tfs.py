"""A node, asked as TensorFlow Serving and KServe v1 are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from forebay.core import Key
from support.asked_models import all_deployed
from support.nodes import Running, running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = all_deployed(tmp_path_factory.mktemp("node"))
    with running(prepared) as started:
        yield started


def ask(node: Running, key: Key | None, path: str, body: Any = None) -> tuple[int, Any]:
    with node.client(key) as client:
        answer = client.get(path) if body is None else client.post(path, json=body)
        return answer.status_code, answer.json()


ROW = {"instances": [[1, 2, 3]]}


def test_rows_and_columns_are_answered_alike(node: Running, key: Key) -> None:
    assert ask(node, key, "/v1/models/twice:predict", ROW) == (200, {"predictions": [[2, 4, 6]]})
    column = {"inputs": {"a": [[1, 2]], "b": [3]}}
    assert ask(node, key, "/v1/models/mixer:predict", column) == (200, {"outputs": [6.0]})


def test_versions_and_labels_are_chosen_in_the_path(node: Running, key: Key) -> None:
    for middle, factor in (("versions/1", 10), ("versions/2", 100), ("labels/champion", 100)):
        status, said = ask(node, key, f"/v1/models/either/{middle}:predict", ROW)
        assert (status, said) == (200, {"predictions": [[factor, 2 * factor, 3 * factor]]})
    for middle in ("versions/3", "labels/nobody", f"versions/{9**99}"):
        status, said = ask(node, key, f"/v1/models/either/{middle}:predict", ROW)
        assert status == 404
        assert "is not deployed; deployed are [1, 2]" in said["error"]


def test_a_moved_label_means_another_version(node: Running, key: Key) -> None:
    def until(label: str, wanted: tuple[int, Any]) -> None:
        found: tuple[int, Any] = (0, {})
        for _ in range(100):
            found = ask(node, key, f"/v1/models/either/labels/{label}:predict", ROW)
            if (found[0], found[1].get("predictions")) == wanted:
                return
        raise AssertionError(found)

    node.prepared.alias("either", champion=1, other=2)
    node.apply(node.prepared.snapshot())
    until("champion", (200, [[10, 20, 30]]))
    node.prepared.alias("either", champion=2)
    node.apply(node.prepared.snapshot())
    until("other", (404, None))


def test_classes_and_numbers(node: Running, key: Key) -> None:
    examples = {"examples": [{"a": 0, "b": 9, "c": 0}]}
    status, said = ask(node, key, "/v1/models/judge:classify", examples)
    assert status == 200
    assert [label for label, _ in said["results"][0]] == ["cat", "dog", "owl"]
    assert max(said["results"][0], key=lambda pair: pair[1])[0] == "dog"
    numbers = {"examples": [{"a": [1, 2], "b": 3}]}
    assert ask(node, key, "/v1/models/mixer:regress", numbers) == (200, {"results": [6.0]})
    status, said = ask(node, key, "/v1/models/mixer:classify", numbers)
    assert (status, said["error"][:9]) == (501, "no output")


def test_status_says_what_both_protocols_read(node: Running, key: Key) -> None:
    fine = {"error_code": "OK", "error_message": ""}
    version = {"version": "1", "state": "AVAILABLE", "status": fine}
    assert ask(node, key, "/v1/models/twice") == (
        200,
        {"model_version_status": [version], "name": "twice", "ready": True},
    )
    assert ask(node, key, "/v1/models/twice/versions/0")[1]["model_version_status"] == [version]
    assert ask(node, key, "/v1/models/twice/versions/1") == (200, {"model_version_status": [version]})
    assert ask(node, key, "/v1/models")[1]["models"] == ["either", "judge", "mixer", "twice"]


def test_metadata_is_doubly_nested(node: Running, key: Key) -> None:
    status, said = ask(node, key, "/v1/models/mixer/metadata")
    assert status == 200
    assert said["model_spec"] == {"name": "mixer", "signature_name": "", "version": "1"}
    described = said["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert described["inputs"]["b"] == {
        "dtype": "DT_INT64",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "b:0",
    }


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/nobody:predict", ROW, 404),
        ("/v1/models/twice:predict", {}, 400),
        ("/v1/models/twice:explain", ROW, 404),
        ("/v1/models/twice:predict", None, 405),
    ],
)
def test_errors_are_strings(node: Running, key: Key, path: str, body: Any, status: int) -> None:
    got, said = ask(node, key, path, body)
    assert got == status
    assert isinstance(said["error"], str)


def test_without_a_key_the_error_is_a_string_too(node: Running) -> None:
    status, said = ask(node, None, "/v1/models/twice:predict", ROW)
    assert (status, "needs a key" in said["error"]) == (401, True)


def test_other_paths_below_v1_speak_as_openai_does(node: Running, key: Key) -> None:
    status, said = ask(node, key, "/v1/nowhere", {})
    assert (status, said["error"]["type"], said["error"]["param"]) == (404, "invalid_request_error", None)


def test_aliases_survive_the_snapshot_on_disk(node: Running) -> None:
    deployment = next(each for each in node.prepared.snapshot().deployments if each.model == "either")
    assert msgspec.json.decode(msgspec.json.encode(deployment), type=type(deployment)) == deployment
    assert deployment.aliases == {"champion": 2}
