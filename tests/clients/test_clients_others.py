"""ovmsclient, mlflow, boto3 and kserve, unmodified, against one node: the same rows, the same answers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from clients.conftest import node_process
from clients.drivers.others import ROWS
from support.nodes import Prepared
from support.tiny_models import scaler

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

DRIVER = Path(__file__).parent / "drivers" / "others.py"
Said = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, environment_of: Callable[[str], str]) -> Iterator[Said]:
    """What a client heard."""
    home = tmp_path_factory.mktemp("home")
    prepared = Prepared(home / "node")
    prepared.deploy("twice", [prepared.artifact(scaler())])
    heard: dict[str, dict[str, Any]] = {}
    with node_process(prepared, home, FOREBAY_ANONYMOUS_KEY=prepared.key().secret) as node:
        place = {
            "http": f"127.0.0.1:{node.port}",
            "http_port": node.port,
            "grpc": f"127.0.0.1:{node.grpc_port}",
            "key": node.key.secret,
        }

        def ask(client: str) -> dict[str, Any]:
            if client not in heard:
                command = [environment_of(client), str(DRIVER), client, json.dumps(place)]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
                assert done.returncode == 0, done.stderr
                heard[client] = json.loads(done.stdout)
            return heard[client]

        yield ask


@pytest.fixture(scope="module")
def right() -> Any:
    """What a bare ONNX Runtime says to the rows."""
    session = onnxruntime.InferenceSession(scaler(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.array(ROWS, np.float32)})[0]


def exactly(found: Any, right: Any) -> None:
    assert np.array_equal(np.array(found, np.float32), right)


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_ovmsclient_speaks_tensorflow_serving(said: Said, right: Any, way: str) -> None:
    heard = said("ovmsclient")[way]
    exactly(heard["rows"], right)
    exactly(heard["version"], right)
    assert heard["status"]["1"]["state"] == "AVAILABLE"
    assert "nobody" in heard["no_model"]["says"]
    assert heard["no_model"]["class"] == "ModelNotFoundError"
    assert "takes" in heard["bad_shape"]["says"]
    assert heard["bad_shape"]["class"] == "InvalidInputError"


def test_ovmsclient_reads_what_a_model_takes(said: Said) -> None:
    heard = said("ovmsclient")
    assert heard["grpc"]["metadata"]["inputs"] == {"x": {"shape": [-1, 3], "dtype": "DT_FLOAT"}}
    assert heard["http"]["metadata"]["model_spec"]["name"] == "twice"


def test_mlflow_scores_frames_and_arrays(said: Said, right: Any) -> None:
    heard = said("mlflow")
    for way in ("frame", "shuffled", "array", "as_frame"):
        exactly(heard[way], right)
    assert "no column 'b'" in heard["wrong"]["says"]
    assert "error code 400" in heard["wrong"]["says"]


def test_boto3_invokes_endpoints(said: Said, right: Any) -> None:
    heard = said("boto3")
    exactly(heard["json"], right)
    exactly(heard["csv"], right)
    assert heard["variant"] == "version-1"
    assert heard["no_model"]["class"] == heard["bad_shape"]["class"] == "ValidationError"
    assert "UnrecognizedClientException" in heard["no_key"]["says"]


@pytest.mark.parametrize("way", ["v1", "v2", "grpc"])
def test_kserve_speaks_both_of_its_protocols(said: Said, right: Any, way: str) -> None:
    heard = said("kserve")[way]
    exactly(heard["rows"], right)
    assert heard["live"] is True
    assert heard["model_ready"] is True
    if way != "grpc":
        assert "Request for unknown model: 'nobody' is not found" in heard["no_model"]["says"]
