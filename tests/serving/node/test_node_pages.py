"""What can be read about a node's models: metadata, configuration, statistics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from forebay.core import Bounds, DataType, Key, Limits, Signature, TensorSpec
from forebay.serving.wire import Call, oip_grpc
from support.asked_models import JUDGE, judge
from support.grpc_caller import OIP, calling
from support.nodes import CALLER, Prepared, Running, running
from support.tiny_models import echo_text, scaler

TEXT = Signature((TensorSpec("x", DataType.BYTES, (-1, 1)),), (TensorSpec("y", DataType.BYTES, (-1, 1)),))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = Prepared(tmp_path_factory.mktemp("node"))
    prepared.deploy("twice", [prepared.artifact(scaler())], Limits(batch_rows=16, wait_s=0.0))
    prepared.deploy("either", [prepared.artifact(scaler(10)), prepared.artifact(scaler(100))])
    prepared.deploy("text", [prepared.artifact(echo_text(), TEXT)])
    prepared.deploy("judge", [prepared.artifact(judge(), JUDGE)])
    prepared.key()
    with running(prepared) as started:
        yield started


def read(node: Running, key: Key, path: str) -> tuple[int, Any]:
    with node.client(key) as client:
        answer = client.get(path)
        return answer.status_code, answer.json()


def ask(node: Running, key: Key, path: str, rows: int) -> int:
    data = [1.0] * (3 * rows)
    body = {"inputs": [{"name": "x", "shape": [rows, 3], "datatype": "FP32", "data": data}]}
    with node.client(key) as client:
        return client.post(path, json=body).status_code


def statistics(node: Running, key: Key, model: str, version: int = 1) -> dict[str, Any]:
    status, said = read(node, key, f"/v2/models/{model}/versions/{version}/stats")
    assert status == 200
    assert len(said["model_stats"]) == 1
    one: dict[str, Any] = said["model_stats"][0]
    assert (one["name"], one["version"]) == (model, str(version))
    return one


def test_a_configuration_is_what_tritons_clients_expect(node: Running, key: Key) -> None:
    assert read(node, key, "/v2/models/twice/config") == (
        200,
        {
            "name": "twice",
            "platform": "onnxruntime_onnx",
            "backend": "onnxruntime",
            "version_policy": {"specific": {"versions": [1]}},
            "max_batch_size": 16,
            "input": [
                {
                    "name": "x",
                    "data_type": "TYPE_FP32",
                    "dims": [3],
                    "format": "FORMAT_NONE",
                    "is_shape_tensor": False,
                    "allow_ragged_batch": False,
                    "optional": False,
                }
            ],
            "output": [
                {
                    "name": "y",
                    "data_type": "TYPE_FP32",
                    "dims": [3],
                    "label_filename": "",
                    "is_shape_tensor": False,
                }
            ],
            "instance_group": [{"name": "twice", "kind": "KIND_CPU", "count": 1}],
            "default_model_filename": "model.onnx",
            "dynamic_batching": {"max_queue_delay_microseconds": 0},
        },
    )


def test_strings_are_called_strings_and_every_version_has_a_configuration(node: Running, key: Key) -> None:
    _, text = read(node, key, "/v2/models/text/config")
    assert text["input"][0]["data_type"] == "TYPE_STRING"
    _, second = read(node, key, "/v2/models/either/versions/2/config")
    assert second["version_policy"] == {"specific": {"versions": [1, 2]}}
    assert read(node, key, "/v2/models/either/versions/3/config")[0] == 404


def test_statistics_grow_with_what_is_asked_and_never_shrink(node: Running, key: Key) -> None:
    before = statistics(node, key, "twice")
    assert ask(node, key, "/v2/models/twice/infer", 5) == 200
    assert ask(node, key, "/v2/models/twice/infer", 1) == 200
    after = statistics(node, key, "twice")
    assert after["inference_count"] - before["inference_count"] == 6
    assert after["execution_count"] - before["execution_count"] == 2
    assert abs(after["last_inference"] - time.time() * 1e3) < 60_000
    was, now = before["inference_stats"], after["inference_stats"]
    for name in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        assert now[name]["count"] - was[name]["count"] == 2
        assert now[name]["ns"] > was[name]["ns"]
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    assert now["success"]["ns"] == sum(now[name]["ns"] for name in parts)
    assert now["fail"] == was["fail"]
    assert now["cache_hit"] == {"count": 0, "ns": 0}
    sizes = {each["batch_size"]: each for each in after["batch_stats"]}
    assert sizes[5]["compute_infer"]["count"] >= 1
    assert sizes[5]["compute_infer"]["ns"] > 0


def test_a_model_of_two_versions_has_two_statistics(node: Running, key: Key) -> None:
    status, said = read(node, key, "/v2/models/either/stats")
    assert status == 200
    assert [(each["name"], each["version"]) for each in said["model_stats"]] == [
        ("either", "1"),
        ("either", "2"),
    ]


def test_everybodys_statistics_are_those_of_ones_own_models(node: Running) -> None:
    limited = node.prepared.key(CALLER, Bounds(models=("text",)))
    everything = node.prepared.key()
    node.apply(node.prepared.snapshot())
    _, said = read(node, limited, "/v2/models/stats")
    assert {each["name"] for each in said["model_stats"]} == {"text"}
    _, said = read(node, everything, "/v2/models/stats")
    assert {each["name"] for each in said["model_stats"]} == {"text", "twice", "either", "judge"}
    assert read(node, limited, "/v2/models/twice/stats")[0] == 403


def test_reading_about_a_model_takes_nobodys_turn(node: Running, key: Key) -> None:
    def answered() -> list[int]:
        _, said = read(node, key, "/v2/models/either/stats")
        return [each["inference_count"] for each in said["model_stats"]]

    before = answered()
    for _ in range(4):
        read(node, key, "/v2/models/either")
        read(node, key, "/v2/models/either/config")
        assert ask(node, key, "/v2/models/either/infer", 1) == 200
    after = answered()
    assert [now - was for was, now in zip(before, after, strict=True)] == [2, 2]


@pytest.mark.parametrize("page", ["config", "stats", "ready"])
def test_a_page_of_an_unknown_model_is_a_404_that_starts_as_clients_expect(
    node: Running, key: Key, page: str
) -> None:
    status, said = read(node, key, f"/v2/models/nobody/{page}")
    assert status == 404
    assert said["error"].startswith("Request for unknown model")


def test_the_index_lists_what_is_deployed(node: Running, key: Key) -> None:
    with node.client(key) as client:
        for body in (b"", b"{}", b'{"ready":true}'):
            said = client.post("/v2/repository/index", content=body).json()
            assert {"name": "either", "version": "2", "state": "READY", "reason": ""} in said
            assert len(said) == 5
        assert client.post("/v2/repository/index", content=b"[]").status_code == 400
        assert client.post("/v2/repository/index", content=b"{").status_code == 400


def test_the_best_classes_are_said_with_their_labels_through_both_doors(node: Running, key: Key) -> None:
    row = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [0, 2, 1]}
    wanted = [{"name": "probabilities", "parameters": {"classification": 2}}, {"name": "label"}]
    with node.client(key) as client:
        answer = client.post("/v2/models/judge/infer", json={"inputs": [row], "outputs": wanted}).json()
    best, label = answer["outputs"]
    assert (best["datatype"], best["shape"]) == ("BYTES", [1, 2])
    assert best["data"] == ["0.665241:1:dog", "0.244728:2:owl"]
    assert label["data"] == ["dog"]
    request = oip_grpc.PROTOCOL.message("inference.ModelInferRequest").FromString(
        oip_grpc.encode_request(Call("judge", {"x": np.array([[0, 2, 1]], np.float32)}))
    )
    request.outputs.add(name="probabilities").parameters["classification"].int64_param = 2
    with calling(node, key) as caller:
        said = oip_grpc.decode_answer(caller.bytes(f"{OIP}/ModelInfer", request.SerializeToString()))
    assert [each.decode() for each in said.outputs["probabilities"].ravel()] == best["data"]


def test_words_cannot_be_classified(node: Running, key: Key) -> None:
    row = {"name": "x", "shape": [1, 1], "datatype": "BYTES", "data": ["a"]}
    wanted = [{"name": "y", "parameters": {"classification": 2}}]
    with node.client(key) as client:
        answer = client.post("/v2/models/text/infer", json={"inputs": [row], "outputs": wanted})
    assert (answer.status_code, "no numbers to classify by" in answer.json()["error"]) == (400, True)
