"""A node, asked as the containers of MLflow, SageMaker, Vertex AI and Azure ML are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from forebay.app.settings import Settings
from forebay.core import Bounds, Key
from support.nodes import Prepared, Running, running
from support.tiny_models import scaler

ROWS = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}
DOUBLED = {"predictions": [[2, 4, 6]]}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    prepared = Prepared(tmp_path_factory.mktemp("node"))
    prepared.deploy("twice", [prepared.artifact(scaler())])
    prepared.deploy("tenfold", [prepared.artifact(scaler(10))])
    return prepared


@pytest.fixture(scope="module")
def lone(prepared: Prepared) -> Key:
    return prepared.key(bounds=Bounds(models=("twice",)))


@pytest.fixture(scope="module")
def every(prepared: Prepared) -> Key:
    return prepared.key()


@pytest.fixture(scope="module")
def node(prepared: Prepared, lone: Key, every: Key) -> Iterator[Running]:
    with running(
        prepared, release="1.2.3", predict_route="/v1/endpoints/7:predict", health_route="/well"
    ) as it:
        yield it


def post(node: Running, key: Key | None, path: str, body: Any, **headers: str) -> httpx.Response:
    with node.client(key) as client:
        return client.post(path, json=body, headers=headers)


@pytest.mark.parametrize("path", ["/invocations", "/score", "/serving-endpoints/twice/invocations"])
def test_a_table_is_scored(node: Running, lone: Key, path: str) -> None:
    answer = post(node, lone, path, ROWS)
    assert (answer.status_code, answer.json()) == (200, DOUBLED)


def test_csv_is_scored(node: Running, lone: Key) -> None:
    with node.client(lone) as client:
        answer = client.post("/invocations", content="1,2,3\n4,5,6", headers={"content-type": "text/csv"})
    assert answer.json() == {"predictions": [[2, 4, 6], [8, 10, 12]]}


def test_the_model_is_named_where_there_are_several(node: Running, every: Key, lone: Key) -> None:
    answer = post(node, every, "/invocations", ROWS)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert "X-Forebay-Model" in answer.json()["message"]
    tenfold = {"x-forebay-model": "tenfold"}
    assert post(node, every, "/invocations", ROWS, **tenfold).json() == {"predictions": [[10, 20, 30]]}
    refused = post(node, lone, "/invocations", ROWS, **tenfold)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_the_node_may_have_a_default_model_and_a_key_for_everybody(tmp_path: Path) -> None:
    prepared = Prepared(tmp_path)
    prepared.deploy("twice", [prepared.artifact(scaler())])
    prepared.deploy("tenfold", [prepared.artifact(scaler(10))])
    with running(prepared, default_model="tenfold", anonymous_key=prepared.key().secret) as node:
        assert post(node, None, "/invocations", ROWS).json() == {"predictions": [[10, 20, 30]]}
        wrong = post(node, None, "/invocations", ROWS, authorization="Bearer fb-0-0")
        assert wrong.status_code == 401


def test_unknown_media_are_refused_in_plain_text(node: Running, lone: Key) -> None:
    answer = post(
        node, lone, "/invocations", ROWS, **{"content-type": "application/json; format=pandas-split"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (415, "text/plain; charset=utf-8")


def test_sagemaker_signs_with_a_key_of_ours(node: Running, every: Key) -> None:
    signed = (
        f"AWS4-HMAC-SHA256 Credential={every.secret}/20261126/eu-west-1/sagemaker/aws4_request, Signature=0"
    )
    answer = post(node, None, "/endpoints/twice/invocations", ROWS, authorization=signed)
    assert (answer.status_code, answer.json()) == (200, DOUBLED)
    assert answer.headers["x-amzn-invoked-production-variant"] == "version-1"


@pytest.mark.parametrize(
    ("path", "shown", "status", "name"),
    [
        ("/endpoints/nobody/invocations", True, 400, "ValidationError"),
        ("/endpoints/twice/invocations", False, 403, "UnrecognizedClientException"),
        ("/endpoints/twice/nowhere", True, 400, "ValidationError"),
    ],
)
def test_sagemaker_errors_name_their_class(
    node: Running, every: Key, path: str, shown: bool, status: int, name: str
) -> None:
    answer = post(node, every if shown else None, path, ROWS)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (status, name)
    assert isinstance(answer.json()["Message"], str)


@pytest.mark.parametrize("path", ["/", "/ping", "/health", "/well"])
def test_health_is_told_to_everybody(node: Running, path: str) -> None:
    with node.client() as client:
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200


def test_the_release_is_told_to_those_with_a_key(node: Running, lone: Key) -> None:
    with node.client(lone) as client:
        assert client.get("/version").text == "1.2.3"


def test_vertex_chooses_the_path(node: Running, lone: Key) -> None:
    body = {"instances": [[1, 2, 3]], "parameters": {}}
    answer = post(node, lone, "/v1/endpoints/7:predict", body)
    assert (answer.status_code, answer.json()) == (200, DOUBLED)


def test_every_cloud_names_its_port_and_paths() -> None:
    vertex = {"AIP_HTTP_PORT": "8089", "AIP_HEALTH_ROUTE": "/h", "AIP_PREDICT_ROUTE": "/p"}
    settings = Settings.load(vertex)
    assert (settings.port, settings.health_route, settings.predict_route) == (8089, "/h", "/p")
    assert Settings.load({"SAGEMAKER_BIND_TO_PORT": "8081"}).port == 8081
    assert Settings.load({"SAGEMAKER_BIND_TO_PORT": "8081", "FOREBAY_PORT": "9"}).port == 9
