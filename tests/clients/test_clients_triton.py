"""tritonclient, all four of it, against a node process; and what a bare ONNX Runtime says to the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from clients.conftest import node_process
from clients.drivers.triton import VARIANTS
from forebay.core import DataType, Signature, TensorSpec
from support.nodes import Prepared
from support.tiny_models import echo, echo_signature, echo_text, scaler

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

DRIVER = Path(__file__).parent / "drivers" / "triton.py"
TEXT = Signature((TensorSpec("x", DataType.BYTES, (-1, 1)),), (TensorSpec("y", DataType.BYTES, (-1, 1)),))
GRPC = [variant for variant in VARIANTS if variant.startswith("grpc")]
HTTP = [variant for variant in VARIANTS if variant.startswith("http")]


@pytest.fixture(scope="module")
def said(
    tmp_path_factory: pytest.TempPathFactory, environment_of: Callable[[str], str]
) -> Iterator[dict[str, Any]]:
    """What each variant heard."""
    python = environment_of("tritonclient")
    home = tmp_path_factory.mktemp("home")
    prepared = Prepared(home / "node")
    prepared.deploy("twice", [prepared.artifact(scaler())])
    prepared.deploy("text", [prepared.artifact(echo_text(), TEXT)])
    for each in (DataType.FP16, DataType.BF16):
        prepared.deploy(each.value.lower(), [prepared.artifact(echo(each), echo_signature(each))])
    with node_process(prepared, home) as node:
        place = {
            "http": f"127.0.0.1:{node.port}",
            "grpc": f"127.0.0.1:{node.grpc_port}",
            "key": node.key.secret,
        }
        done = subprocess.run(
            [python, DRIVER, json.dumps(place)], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)


@cache
def bare() -> Any:
    return onnxruntime.InferenceSession(scaler(), providers=["CPUExecutionProvider"])


def doubled(shown: dict[str, Any]) -> dict[str, Any]:
    """What a bare ONNX Runtime call answers to the same input."""
    rows = np.frombuffer(bytes.fromhex(shown["hex"]), shown["dtype"]).reshape(shown["shape"])
    (answer,) = bare().run(["y"], {"x": rows})
    return {"dtype": str(answer.dtype), "shape": list(answer.shape), "hex": answer.tobytes().hex()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_are_those_of_a_bare_onnx_runtime(said: dict[str, Any], variant: str) -> None:
    heard = said[variant]
    for scene in ("rows", "version", "gzip", "deflate"):
        assert heard[scene]["y"] == doubled(heard[scene]["in"]), scene
    assert (heard["rows"]["model_name"], heard["rows"]["model_version"]) == ("twice", "1")
    assert heard["rows"]["id"] == "mine"


@pytest.mark.parametrize("variant", VARIANTS)
def test_strings_half_floats_and_nothing_at_all_come_back_as_they_went(
    said: dict[str, Any], variant: str
) -> None:
    heard = said[variant]
    for scene in ("words", "FP16", "BF16"):
        assert heard[scene]["y"] == heard[scene]["in"], scene
    empty = heard["empty"]["y"]
    assert empty is None or (empty["shape"], empty["hex"]) == ([0, 3], "")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_best_classes_are_named(said: dict[str, Any], variant: str) -> None:
    assert said[variant]["classes"]["y"]["shape"] == [2, 2]
    assert _texts(said[variant]["classes"]["y"]) == ["4.000000:2", "2.000000:1", "10.000000:2", "8.000000:1"]


@pytest.mark.parametrize("variant", HTTP)
def test_json_and_bytes_mix(said: dict[str, Any], variant: str) -> None:
    heard = said[variant]
    for into in (True, False):
        for out in (True, False):
            numbers, words = heard[f"mixed {into} {out}"], heard[f"mixed {into} {out} words"]
            assert numbers["y"] == doubled(numbers["in"])
            assert _texts(words["y"]) == _texts(words["in"])


def _texts(shown: dict[str, Any]) -> list[str]:
    """JSON's strings come as text."""
    return [bytes.fromhex(item).decode() for item in shown["hex"]]


@pytest.mark.parametrize("variant", VARIANTS)
def test_health_and_pages_are_understood(said: dict[str, Any], variant: str) -> None:
    heard = said[variant]
    assert (heard["live"], heard["ready"], heard["model_ready"]) == (True, True, True)
    assert heard["unknown_ready"] is False
    assert heard["server"]["name"] == "forebay"
    assert "statistics" in heard["server"]["extensions"]
    metadata = heard["metadata"]
    assert metadata["platform"] == "onnxruntime_onnx"
    assert [(each["name"], each["datatype"]) for each in metadata["inputs"]] == [("x", "FP32")]
    assert [int(size) for size in metadata["inputs"][0]["shape"]] == [-1, 3]
    config = heard["config"].get("config", heard["config"])
    assert (config["name"], config["max_batch_size"]) == ("twice", 64)
    assert [int(size) for size in config["input"][0]["dims"]] == [3]
    assert "dynamic_batching" in config
    assert "sequence_batching" not in config
    index = heard["index"] if isinstance(heard["index"], list) else heard["index"]["models"]
    assert {each["name"] for each in index} == {"twice", "text", "fp16", "bf16"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_statistics_count_what_was_asked(said: dict[str, Any], variant: str) -> None:
    (statistics,) = said[variant]["statistics"]["model_stats"]
    success = statistics["inference_stats"]["success"]
    assert int(success["count"]) >= 4
    assert int(success["ns"]) > 0
    assert int(statistics["inference_count"]) >= int(statistics["execution_count"]) > 0
    sizes = {int(each["batch_size"]) for each in statistics["batch_stats"] if "batch_size" in each}
    assert {2, 1000} <= sizes


@pytest.mark.parametrize("variant", VARIANTS)
def test_mistakes_are_explained(said: dict[str, Any], variant: str) -> None:
    heard = said[variant]
    over_http = variant in HTTP
    for scene, http, grpc, sentence in (
        ("no_model", "404", "StatusCode.NOT_FOUND", "Request for unknown model: 'nobody' is not found"),
        ("no_version", "404", "StatusCode.NOT_FOUND", "version 9 is not deployed"),
        ("bad_shape", "400", "StatusCode.INVALID_ARGUMENT", "takes the shape [-1, 3]"),
        ("bad_type", "400", "StatusCode.INVALID_ARGUMENT", "takes FP32"),
        ("no_key", "401", "StatusCode.UNAUTHENTICATED", "needs a key"),
    ):
        assert heard[scene]["status"] == (http if over_http else grpc), scene
        assert sentence in heard[scene]["message"]


@pytest.mark.parametrize("variant", GRPC)
def test_a_stream_goes_on_after_a_mistake(said: dict[str, Any], variant: str) -> None:
    heard = said[variant]
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    for number, answer in enumerate(heard["stream"]):
        if number == 2:
            assert answer["error"].startswith("Request for unknown model")
        else:
            assert answer["id"] == str(number)
            assert answer["y"]["hex"] == ((rows + number) * 2).tobytes().hex()
    assert len(heard["stream"]) == 5
    assert heard["wanted"]["y"] == doubled(heard["wanted"]["in"])


@pytest.mark.parametrize("variant", GRPC)
def test_what_is_not_served_is_said_to_be_so(said: dict[str, Any], variant: str) -> None:
    heard = said[variant]
    for scene, sentence in (("load", "forebay deploy"), ("shared_memory", "send the data in the request")):
        assert heard[scene]["status"] == "StatusCode.UNIMPLEMENTED"
        assert sentence in heard[scene]["message"]
