"""The small bodies of the Open Inference Protocol."""

from __future__ import annotations

import json

from forebay.core import DataType, Signature, TensorSpec
from forebay.serving.wire import oip_pages


def test_metadata_says_what_the_model_takes_and_gives() -> None:
    signature = Signature(
        (TensorSpec("x", DataType.FP32, (-1, 2), ("a", "b,c")),), (TensorSpec("y", DataType.BYTES, (-1,)),)
    )
    assert json.loads(oip_pages.encode(oip_pages.model("m", ["1", "2"], "onnx_onnxruntime", signature))) == {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "onnx_onnxruntime",
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [-1, 2], "parameters": {"columns": '["a","b,c"]'}}
        ],
        "outputs": [{"name": "y", "datatype": "BYTES", "shape": [-1]}],
    }


def test_the_server_says_what_it_is_and_how_it_is() -> None:
    assert json.loads(oip_pages.encode(oip_pages.server("forebay", "0.1", ["binary_tensor_data"]))) == {
        "name": "forebay",
        "version": "0.1",
        "extensions": ["binary_tensor_data"],
    }
    assert json.loads(oip_pages.live(alive=True)) == {"live": True}
    assert json.loads(oip_pages.live(alive=False)) == {"live": False}
    assert json.loads(oip_pages.ready(is_ready=True)) == {"ready": True}
    assert json.loads(oip_pages.ready(is_ready=False)) == {"ready": False}
    assert json.loads(oip_pages.model_ready("m", is_ready=True)) == {"name": "m", "ready": True}
    assert json.loads(oip_pages.models(["a", "b"])) == {"models": ["a", "b"]}


def test_every_error_is_a_string_under_error() -> None:
    body = oip_pages.encode_error("no model 'ü\ud800'")
    assert json.loads(body) == {"error": "no model 'ü?'"}
    assert oip_pages.decode_error(body) == "no model 'ü?'"
    for other in (b"<html>", b"[]", b"{}", b'{"error": {}}'):
        assert oip_pages.decode_error(other) is None
