"""A node, asked over HTTP, while its hub is away."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forebay.core import Bounds, DataType, Key, Limits, Signature, TensorSpec
from forebay.serving.node.http_doors import HTTP_DOORS
from support.nodes import WATCHER, Prepared, Running, running
from support.tiny_models import TWICE, gatherer, scaler

REQUEST = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}
GATHER = Signature((TensorSpec("x", DataType.INT64, (-1,)),), (TensorSpec("y", DataType.FP32, (-1,)),))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = Prepared(tmp_path_factory.mktemp("node"))
    prepared.deploy("twice", [prepared.artifact(scaler())])
    prepared.deploy("either", [prepared.artifact(scaler(10)), prepared.artifact(scaler(100))])
    prepared.deploy("pick", [prepared.artifact(gatherer(), GATHER)])
    prepared.deploy("small", [prepared.artifact(scaler(5))], Limits(batch_rows=2, queue_rows=4))
    prepared.key()
    with running(prepared, max_body_bytes=1 << 20) as started:
        yield started


def ask(node: Running, key: Key | None, path: str, body: Any) -> tuple[int, Any]:
    with node.client(key) as client:
        answer = client.post(path, json=body)
        return answer.status_code, answer.json()


def test_a_model_answers_in_the_open_inference_protocol(node: Running, key: Key) -> None:
    status, said = ask(node, key, "/v2/models/twice/infer", {"id": "7", **REQUEST})
    assert status == 200
    assert said == {
        "model_name": "twice",
        "model_version": "1",
        "id": "7",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [2.0, 4.0, 6.0]}],
    }


def test_a_model_answers_rows_with_rows(node: Running, key: Key) -> None:
    status, said = ask(node, key, "/predict/twice", {"rows": [[1, 2, 3], [4, 5, 6]]})
    assert (status, said["model"], said["version"]) == (200, "twice", 1)
    assert said["rows"] == [{"y": [2.0, 4.0, 6.0]}, {"y": [8.0, 10.0, 12.0]}]
    assert (
        ask(node, key, "/predict/twice", {"records": [{"a": 1, "b": 2, "c": 3}]})[1]["rows"]
        == said["rows"][:1]
    )


def test_binary_tensors_go_both_ways(node: Running, key: Key) -> None:
    values = np.array([[1, 2, 3]], dtype="<f4")
    head = json.dumps(
        {
            "parameters": {"binary_data_output": True},
            "inputs": [
                {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
            ],
        }
    ).encode()
    with node.client(key) as client:
        answer = client.post(
            "/v2/models/twice/infer",
            content=head + values.tobytes(),
            headers={"Inference-Header-Content-Length": str(len(head))},
        )
    size = int(answer.headers["Inference-Header-Content-Length"])
    assert np.frombuffer(answer.content[size:], "<f4").tolist() == [2.0, 4.0, 6.0]


def test_versions_take_turns_by_weight_and_can_be_asked_for(node: Running, key: Key) -> None:
    said = [ask(node, key, "/v2/models/either/infer", REQUEST)[1] for _ in range(10)]
    assert sorted(each["model_version"] for each in said) == ["1"] * 5 + ["2"] * 5
    status, second = ask(node, key, "/v2/models/either/versions/2/infer", REQUEST)
    assert (status, second["outputs"][0]["data"]) == (200, [100.0, 200.0, 300.0])
    status, third = ask(node, key, "/v2/models/either/versions/3/infer", REQUEST)
    assert status == 404
    assert "version 3 is not deployed; deployed are [1, 2]" in third["error"]


def test_the_answer_says_where_the_time_went(node: Running, key: Key) -> None:
    with node.client(key) as client:
        answer = client.post("/predict/twice", json=[[1, 2, 3]])
    assert answer.headers["server-timing"].startswith("queue;dur=")
    assert "compute;dur=" in answer.headers["server-timing"]


def test_pages_about_server_and_models(node: Running, key: Key) -> None:
    with node.client(key) as client:
        assert client.get("/v2/health/live").json() == {"live": True}
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert client.get("/v2").json()["name"] == "forebay"
        assert client.get("/v2/models").json() == {"models": ["either", "pick", "small", "twice"]}
        about = client.get("/v2/models/either").json()
        assert about["versions"] == ["1", "2"]
        assert about["inputs"][0]["shape"] == [-1, 3]
        assert client.get("/v2/models/twice/versions/1").status_code == 200
        assert client.get("/v2/models/twice/ready").json() == {"name": "twice", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/twice/infer", "/predict/twice"])
@pytest.mark.parametrize(
    "shown",
    [
        None,
        "Bearer fb-00000000-made-up",
        "Bearer",
        "Basic ???",
        "Basic " + base64.b64encode(b"a:b").decode(),
        "Sesame",
    ],
)
def test_nobody_gets_in_without_a_key(node: Running, path: str, shown: str | None) -> None:
    with node.client() as client:
        answer = client.post(path, json=REQUEST, headers={} if shown is None else {"authorization": shown})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "Authorization: Bearer KEY" in answer.text or "base64" in answer.text


@pytest.mark.parametrize("door", HTTP_DOORS, ids=lambda door: f"{door.method} {door.path}")
def test_every_door_but_health_is_locked(node: Running, door: Any) -> None:
    path = door.path.format(model="twice", version="1")
    with node.client() as client:
        status = client.request(door.method, path, content=b"{}").status_code
    open_to_all = "health" in path or path in ("/", "/ping")
    expected = 200 if open_to_all else 403 if path.startswith("/endpoints/") else 401  # as AWS says it
    assert status == expected


def test_a_key_may_be_shown_as_basic_password_too(node: Running, key: Key) -> None:
    with node.client() as client:
        for pair in (("anybody", key.secret), (key.secret, "")):
            assert client.post("/predict/twice", json=[[1, 2, 3]], auth=pair).status_code == 200


def test_a_revoked_key_is_refused_at_once(node: Running) -> None:
    key = node.prepared.key()
    node.apply(node.prepared.snapshot())
    assert ask(node, key, "/predict/twice", [[1, 2, 3]])[0] == 200
    node.prepared.keys.pop()
    node.apply(node.prepared.snapshot())
    status, said = ask(node, key, "/predict/twice", [[1, 2, 3]])
    assert (status, said["error"]["code"]) == (401, "unauthenticated")


def test_a_key_for_one_model_may_not_ask_another(node: Running) -> None:
    key = node.prepared.key(bounds=Bounds(models=("twice",)))
    node.apply(node.prepared.snapshot())
    assert ask(node, key, "/predict/twice", [[1, 2, 3]])[0] == 200
    status, said = ask(node, key, "/v2/models/either/infer", REQUEST)
    assert status == 403
    assert "may not use the model 'either'" in said["error"]
    with node.client(key) as client:
        assert client.get("/v2/models").json() == {"models": ["twice"]}
        assert client.get("/metrics").status_code == 403


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[" * 100_000, ""),
        (b"{}", "inputs"),
        (b'{"inputs": []}', "missing ['x']"),
        (
            b'{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]}',
            "takes FP32",
        ),
        (
            b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}',
            "[-1, 3]",
        ),
        (
            b'{"inputs": [{"name": "z", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}',
            "unexpected ['z']",
        ),
        (
            b'{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, NaN, 3]}]}',
            "NaN in row 0",
        ),
        (b'{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, "2", 3]}]}', "x"),
        (b'{"inputs": [{"name": "x", "shape": [4611686018427387904, 4], "datatype": "FP32"}]}', ""),
    ],
)
def test_what_a_model_cannot_take_is_refused_with_what_to_change(
    node: Running, key: Key, body: bytes, sentence: str
) -> None:
    with node.client(key) as client:
        answer = client.post("/v2/models/twice/infer", content=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([[1, 2]], "row 0"),
        ({"records": [{"a": 1, "b": 2, "d": 3}]}, "'d'"),
        ({"rows": [["one", 2, 3]]}, "one"),
        ({"rows": [[None, 2, 3]]}, ""),
        ({"lines": []}, "'lines'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_plain_words(
    node: Running, key: Key, body: Any, sentence: str
) -> None:
    status, said = ask(node, key, "/predict/twice", body)
    assert (status, said["error"]["code"]) == (400, "malformed")
    assert sentence in said["error"]["message"]


def test_a_value_that_the_model_itself_refuses_is_the_callers_error(node: Running, key: Key) -> None:
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "INT64", "data": [99]}]}
    status, said = ask(node, key, "/v2/models/pick/infer", body)
    assert status == 400
    assert "refused its input" in said["error"]


def test_unknown_names_and_paths_say_what_there_is(node: Running, key: Key) -> None:
    status, said = ask(node, key, "/v2/models/twicee/infer", REQUEST)
    assert status == 404
    assert said["error"].startswith("Request for unknown model: 'twicee'")
    assert "did you mean 'twice'?" in said["error"]
    assert ask(node, key, "/v2/nowhere", REQUEST)[1] == {
        "error": "Not Found: there is no such path here; POST /predict/MODEL or /v2/models/MODEL/infer"
    }
    with node.client(key) as client:
        wrong = client.get("/v2/models/twice/infer")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert client.get("/%ff").status_code == 400
        assert client.post("/predict/%74wice", json=[[1, 2, 3]]).status_code == 200


def test_a_body_that_is_too_large_is_refused(node: Running, key: Key) -> None:
    with node.client(key) as client:
        answer = client.post("/predict/twice", content=b"x" * (2 << 20))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_packed_bodies_are_unpacked_and_answers_packed_when_asked(
    node: Running, key: Key, encoding: str, pack: Any
) -> None:
    body = json.dumps([[1, 2, 3]] * 200).encode()
    with node.client(key) as client:
        answer = client.post(
            "/predict/twice",
            content=pack(body),
            headers={"content-encoding": encoding, "accept-encoding": encoding},
        )
        assert answer.headers.get("content-encoding", "identity") == encoding
        assert len(answer.json()["rows"]) == 200


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(bytes(20 << 20)), 413),
        ("deflate", b"no such stream", 400),
        ("gzip", gzip.compress(b"[[1,2,3]]")[:-4], 400),
        ("br", b"?", 400),
    ],
    ids=["a bomb", "rubbish", "cut short", "unknown"],
)
def test_a_packed_body_that_cannot_be_unpacked_is_refused(
    node: Running, key: Key, encoding: str, body: bytes, status: int
) -> None:
    with node.client(key) as client:
        answer = client.post("/predict/twice", content=body, headers={"content-encoding": encoding})
    assert answer.status_code == status


def test_more_rows_than_the_queue_holds_are_refused_and_a_full_queue_says_when_to_return(
    node: Running, key: Key
) -> None:
    assert ask(node, key, "/predict/small", [[1, 2, 3]] * 5)[0] == 413
    with ThreadPoolExecutor(16) as pool, node.client(key) as client:
        answers = list(pool.map(lambda _: client.post("/predict/small", json=[[1, 2, 3]] * 4), range(64)))
    assert {answer.status_code for answer in answers} <= {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert answer.headers["retry-after"] == "1"


def test_a_deadline_in_the_request_is_kept(node: Running, key: Key) -> None:
    status, said = ask(node, key, "/v2/models/twice/infer", {"parameters": {"timeout": 1}, **REQUEST})
    assert status in (200, 504)
    if status == 504:
        assert "deadline" in said["error"]


def test_what_was_counted_is_what_was_answered(tmp_path: Path) -> None:
    prepared = Prepared(tmp_path / "node")
    key = prepared.key()
    prepared.deploy("twice", [prepared.artifact(scaler())])
    with running(prepared) as started, started.client(key) as client:
        for size in (1, 2, 3):
            assert client.post("/predict/twice", json=[[1, 2, 3]] * size).status_code == 200
        assert client.post("/predict/twice", json=[[1, 2]]).status_code == 400
        assert client.post("/predict/nothing", json=[[1, 2, 3]]).status_code == 404
        shipment = started.node.journal.read()
    assert shipment is not None
    assert [event.rows for event in shipment.events] == [1, 2, 3]
    event = shipment.events[0]
    assert (event.project, event.key_id, event.model, event.version) == ("default", key.id, "twice", 1)
    assert event.protocol == "rows"
    assert event.wall_ns >= event.compute_ns > 0
    assert event.request_bytes == len(b"[[1,2,3]]")
    assert event.response_bytes > 20


def test_prometheus_can_read_the_node(node: Running, key: Key) -> None:
    watcher = node.prepared.key(WATCHER)
    node.apply(node.prepared.snapshot())
    assert ask(node, key, "/predict/twice", [[1, 2, 3]])[0] == 200
    with node.client(watcher) as client:
        page = client.get("/metrics").text
    assert 'forebay_answered_total{model="twice",project="default",version="1"}' in page
    assert 'forebay_http_answers_total{door="/predict/{model}",status="200"}' in page
    assert "forebay_ready 1.0" in page
    assert 'forebay_compute_seconds_bucket{le="+Inf",model="twice"' in page


def test_the_length_of_the_json_must_be_a_number_within_the_body(node: Running, key: Key) -> None:
    with node.client(key) as client:
        for header in ("abc", "-1", "99999"):
            answer = client.post(
                "/v2/models/twice/infer",
                content=struct.pack("<3f", 1, 2, 3),
                headers={"inference-header-content-length": header},
            )
            assert answer.status_code == 400


def test_twice_is_what_its_signature_says(node: Running, key: Key) -> None:
    with node.client(key) as client:
        about = client.get("/v2/models/twice").json()
    assert [each["name"] for each in about["inputs"]] == [spec.name for spec in TWICE.inputs]
