from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from forebay.core import DataType, Key, Limits, Signature, TensorSpec
from forebay.serving.wire import Call, oip_grpc
from support.held import holding
from support.nodes import WATCHER, Prepared, Running, running
from support.tiny_models import echo_text, scaler

ROWS = [[1, 2, 3]]
TEXT = Signature((TensorSpec("x", DataType.BYTES, (-1, 1)),), (TensorSpec("y", DataType.BYTES, (-1, 1)),))
CACHE = Limits(cache_bytes=1 << 20)


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    made = Prepared(tmp_path / "node")
    made.deploy("twice", [made.artifact(scaler())], CACHE)
    made.deploy("text", [made.artifact(echo_text(), TEXT)], CACHE)
    made.deploy("plain", [made.artifact(scaler(3))])
    return made


@pytest.fixture
def key(prepared: Prepared) -> Key:
    return prepared.key()


@pytest.fixture
def node(prepared: Prepared, key: Key) -> Iterator[Running]:
    prepared.key(WATCHER)
    with running(prepared) as started:
        started.wait_ready()
        yield started


def asked(client: httpx.Client, model: str = "twice", rows: object = ROWS) -> httpx.Response:
    answer = client.post(f"/predict/{model}", json=rows)
    assert answer.status_code == 200, answer.text
    return answer


def asked_until(client: httpx.Client, true: Callable[[httpx.Response], bool]) -> httpx.Response:
    for _ in range(500):
        if true(answer := asked(client)):
            return answer
        threading.Event().wait(0.01)
    raise AssertionError("never so")


def test_an_answer_says_how_the_cache_was_used_and_is_metered_as_what_it_was(node: Running, key: Key) -> None:
    with node.client(key) as client:
        first, again, other = asked(client), asked(client), asked(client, rows=[[3, 2, 1]])
    assert first.headers["cache-status"] == "forebay; fwd=miss; stored"
    assert again.headers["cache-status"] == "forebay; hit"
    assert other.headers["cache-status"] == "forebay; fwd=miss; stored"
    assert again.json() == first.json()
    node.stop()
    shipment = node.node.journal.read()
    assert shipment is not None
    assert [event.cached for event in shipment.events] == [False, True, False]
    assert shipment.events[1].rows == 1
    assert shipment.events[1].compute_ns == 0


def test_a_deployment_that_asked_for_no_cache_has_none(node: Running, key: Key) -> None:
    with node.client(key) as client:
        assert "cache-status" not in asked(client, "plain").headers


def test_a_caller_may_want_an_answer_that_is_computed_now_or_that_nobody_keeps(
    node: Running, key: Key
) -> None:
    def status(cache_control: str) -> str:
        answer = client.post("/predict/twice", json=ROWS, headers={"cache-control": cache_control})
        return str(answer.headers["cache-status"])

    with node.client(key) as client:
        assert status("no-store") == "forebay; fwd=bypass"
        assert status("max-age=60") == "forebay; fwd=miss; stored", "nothing was kept before"
        assert status("max-age=60") == "forebay; hit"
        assert status("No-Cache") == "forebay; fwd=miss; stored"
        assert status("no-store") == "forebay; fwd=bypass"
        assert status("") == "forebay; hit"


def test_one_cache_serves_every_protocol(node: Running, key: Key) -> None:
    with node.client(key) as client:
        asked(client)
        tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
        answer = client.post("/v2/models/twice/infer", json={"inputs": [tensor]})
    assert answer.headers["cache-status"] == "forebay; hit"
    message = oip_grpc.encode_request(Call("twice", {"x": np.array(ROWS, dtype=np.float32)}))
    with grpc.insecure_channel(f"127.0.0.1:{node.node.grpc_port}") as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        said, call = infer.with_call(
            message, metadata=[("authorization", f"Bearer {key.secret}")], timeout=10
        )
    assert dict(call.trailing_metadata())["cache-status"] == "forebay; hit"
    np.testing.assert_array_equal(oip_grpc.decode_answer(said).outputs["y"], [[2, 4, 6]])


def test_texts_are_kept_too_and_requests_for_other_outputs_are_answered_from_the_same(
    node: Running, key: Key
) -> None:
    with node.client(key) as client:
        assert asked(client, "text", [["grüß"]]).headers["cache-status"].endswith("stored")
        assert asked(client, "text", [["grüß"]]).json()["rows"] == [{"y": "grüß"}]
        raw = {"name": "x", "shape": [1, 1], "datatype": "BYTES", "data": ["grüß"]}
        wanted = {"inputs": [raw], "outputs": [{"name": "y"}]}
        answer = client.post("/v2/models/text/infer", json=wanted)
        assert answer.headers["cache-status"] == "forebay; hit"
        missing = client.post("/v2/models/text/infer", json=wanted | {"outputs": [{"name": "z"}]})
        assert missing.status_code == 400


def test_an_answer_that_failed_says_where_its_time_went_too(node: Running, key: Key) -> None:
    lane = node.node.routing.find("default", "plain").lane
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    with node.client(key) as one, node.client(key) as two, ThreadPoolExecutor(2) as pool:
        with holding(lane) as held:
            first = pool.submit(asked, one, "plain")
            assert held.began.wait(10)
            hasty = {"inputs": [tensor], "parameters": {"timeout": 1}}
            late = pool.submit(two.post, "/v2/models/plain/infer", json=hasty)
            held.wait_for(lambda lane: lane.waiting == 1)
        assert late.result().status_code == 504
        assert late.result().headers["server-timing"].startswith("queue;dur=")
        assert first.result().status_code == 200


def test_an_error_is_never_kept(node: Running, key: Key) -> None:
    with node.client(key) as client:
        for _ in range(2):
            answer = client.post("/predict/twice", json=[[1, 2]])
            assert answer.status_code == 400
            assert "cache-status" not in answer.headers


def test_callers_who_ask_the_same_at_once_share_a_computation(node: Running, key: Key) -> None:
    lane = node.node.routing.find("default", "twice").lane
    with node.client(key) as one, node.client(key) as two, ThreadPoolExecutor(2) as pool:
        with holding(lane) as held:
            answers = [pool.submit(asked, one)]
            assert held.began.wait(10)
            answers.append(pool.submit(asked, two))
            cache = lane.cache
            assert cache is not None
            held.wait_for(lambda _: [len(f.waiters) for f in list(cache._flights.values())] == [2])
        uses = sorted(answer.result().headers["cache-status"] for answer in answers)
    assert uses == ["forebay; fwd=miss; collapsed", "forebay; fwd=miss; stored"]


def test_a_new_version_begins_with_nothing_kept_and_a_smaller_cache_takes_force_at_once(
    prepared: Prepared, node: Running, key: Key
) -> None:
    with node.client(key) as client:
        asked(client)
        prepared.deploy("twice", [prepared.artifact(scaler(5))], CACHE, first=2)
        node.apply(prepared.snapshot())
        answer = asked_until(client, lambda answer: answer.json()["version"] == 2)
        assert answer.headers["cache-status"].endswith("stored")
        assert answer.json()["rows"] == [{"y": [5.0, 10.0, 15.0]}]
        prepared.deploy("twice", [prepared.artifact(scaler(5))], Limits(cache_bytes=1), first=2)
        node.apply(prepared.snapshot())
        answer = asked_until(client, lambda answer: "hit" not in answer.headers["cache-status"])
        assert answer.headers["cache-status"] == "forebay; fwd=miss"


def test_metrics_say_what_a_cache_does(prepared: Prepared, node: Running, key: Key) -> None:
    watcher = prepared.key(WATCHER)
    node.apply(prepared.snapshot())
    with node.client(key) as client:
        asked(client)
        asked(client)
    with node.client(watcher) as client:
        page = client.get("/metrics").text
    labels = 'model="twice",project="default",use="{}",version="1"'
    assert "forebay_cache_total{" + labels.format("hit") + "} 1.0" in page
    assert "forebay_cache_total{" + labels.format("stored") + "} 1.0" in page
    assert page.count("forebay_cache_bytes{") == 2
