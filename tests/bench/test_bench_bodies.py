from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import orjson
import pytest

from bench.bodies import arrays_in, binary_request, described, json_request
from bench.models import Arrays, Model, perceptron
from bench.ours import signature_of
from bench.triton import configuration

ROW: Arrays = {"x": np.array([[0.5, 1.25, -2.0]], np.float32), "n": np.array([[7]], np.int64)}


def test_a_json_request_carries_the_values_as_they_are() -> None:
    inputs = orjson.loads(json_request(ROW))["inputs"]
    assert inputs == [
        {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0.5, 1.25, -2.0]},
        {"name": "n", "datatype": "INT64", "shape": [1, 1], "data": [7]},
    ]


def test_a_binary_request_is_its_head_and_then_the_tensors() -> None:
    size, body = binary_request(ROW, ["y"])
    head = orjson.loads(body[:size])
    assert [each["parameters"]["binary_data_size"] for each in head["inputs"]] == [12, 8]
    assert head["outputs"] == [{"name": "y", "parameters": {"binary_data": True}}]
    assert body[size:] == ROW["x"].tobytes() + ROW["n"].tobytes()


def test_an_answer_is_read_in_json_and_in_binary_alike() -> None:
    described_row = [described(name, array) for name, array in ROW.items()]
    in_json = [each | {"data": ROW[each["name"]].ravel().tolist()} for each in described_row]
    sizes = [each | {"parameters": {"binary_data_size": ROW[each["name"]].nbytes}} for each in described_row]
    head = orjson.dumps({"outputs": sizes})
    binary = head + ROW["x"].tobytes() + ROW["n"].tobytes()
    for headers, body in (
        ({}, orjson.dumps({"outputs": in_json})),
        ({"inference-header-content-length": str(len(head))}, binary),
    ):
        found = arrays_in(headers, body)
        assert {name: array.tolist() for name, array in found.items()} == {
            name: array.tolist() for name, array in ROW.items()
        }


def test_the_models_made_here_are_the_same_every_time(tmp_path: Path) -> None:
    first, second = (perceptron((4, 3, 2)).SerializeToString() for _ in range(2))
    assert first == second
    answer = ort.InferenceSession(first).run(None, {"x": np.ones((5, 4), np.float32)})[0]
    assert answer.shape == (5, 2)
    assert answer.sum(axis=1) == pytest.approx(1.0)


def test_a_model_is_published_with_the_signature_that_it_has(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(perceptron((4, 3, 2)).SerializeToString())
    signature = signature_of(Model("m", "M", file, {"x": np.zeros((1, 4), np.float32)}))
    assert [(spec.name, spec.shape) for spec in signature.inputs + signature.outputs] == [
        ("x", (-1, 4)),
        ("y", (-1, 2)),
    ]


def test_triton_is_told_every_tensor_without_its_batch() -> None:
    text = configuration("m", ROW, {"y": np.zeros((1, 2, 3), np.float32)}, instances=2)
    assert '{ name: "n" data_type: TYPE_INT64 dims: [1] }' in text
    assert 'output [{ name: "y" data_type: TYPE_FP32 dims: [2, 3] }]' in text
    assert "count: 2 kind: KIND_CPU" in text
