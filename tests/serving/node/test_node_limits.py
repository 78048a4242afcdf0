"""What a node refuses because a limit is used up, in each protocol's own shape; its hub is in the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from forebay.control.billing.permits import PermitBook
from forebay.core import CallLimit, Key, LeaseAnswer, LeaseAsk
from forebay.serving.wire import Call, oip_grpc
from support.grpc_caller import OIP, calling, refused
from support.nodes import WATCHER, Prepared, Running, running
from support.tiny_models import scaler

ROWS = [[1.0, 2.0, 3.0]]
OIP_INPUT = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}


class _Permits(BaseHTTPRequestHandler):
    """Hands out permits of the limits that the test has set, and nothing else."""

    limits: ClassVar[dict[str, CallLimit]] = {}
    books: ClassVar[dict[str, PermitBook]] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.path.endswith("/leases"):
            self.send_error(503)
            return
        ask = msgspec.json.decode(body, type=LeaseAsk)
        leases = {
            name: self.books[name].answer(self.limits[name], ask.holder, said, 0.0)
            for name, said in ask.limits.items()
            if name in self.limits
        }
        answer = msgspec.json.encode(LeaseAnswer(30.0, leases))
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = Prepared(tmp_path_factory.mktemp("node"))
    prepared.deploy("a", [prepared.artifact(scaler())])
    prepared.deploy("b", [prepared.artifact(scaler())])
    prepared.key()
    server = HTTPServer(("127.0.0.1", 0), _Permits)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with running(prepared, hub_url=url) as started:
            yield started
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def limited(node: Running, *limits: CallLimit) -> Key:
    """A new key, and these limits in force."""
    _Permits.limits = {limit.id: limit for limit in limits}
    _Permits.books = {limit.id: PermitBook() for limit in limits}
    key = node.prepared.key()
    node.apply(msgspec.structs.replace(node.prepared.snapshot(), limits=()))
    node.apply(msgspec.structs.replace(node.prepared.snapshot(), limits=limits))
    return key


def limit(unit: str, amount: int, period_s: int = 60, **scope: str) -> CallLimit:
    return CallLimit(f"{unit}-{amount}", "default", unit, amount, period_s, **scope)


def statuses(node: Running, key: Key, path: str, times: int, body: object = None) -> list[int]:
    with node.client(key) as client:
        return [client.post(path, json=body or ROWS).status_code for _ in range(times)]


def test_exactly_so_many_calls_are_answered_and_then_none(node: Running) -> None:
    key = limited(node, limit("request", 7))
    assert statuses(node, key, "/predict/a", 20) == [200] * 7 + [429] * 13


def test_answers_and_refusals_say_how_the_limit_stands(node: Running) -> None:
    key = limited(node, limit("request", 2))
    with node.client(key) as client:
        first = client.post("/predict/a", json=ROWS).headers
        assert (first["ratelimit-limit"], first["ratelimit-remaining"]) == ("2", "1")
        assert first["ratelimit-policy"] == '"request";q=2;w=60'
        assert first["ratelimit"].startswith('"request";r=1;t=')
        client.post("/predict/a", json=ROWS)
        last = client.post("/predict/a", json=ROWS)
        assert last.status_code == 429
        assert (last.headers["ratelimit-remaining"], "2 requests a minute" in last.text) == ("0", True)
        assert 0 < int(last.headers["retry-after"]) <= 62


def test_without_a_limit_nothing_is_said_of_limits(node: Running) -> None:
    with node.client(limited(node)) as client:
        assert "ratelimit-limit" not in client.post("/predict/a", json=ROWS).headers


def test_rows_count_as_they_are_sent(node: Running) -> None:
    key = limited(node, limit("row", 10))
    assert statuses(node, key, "/predict/a", 4, ROWS * 3) == [200, 200, 200, 429]
    assert statuses(node, key, "/predict/a", 2) == [200, 429]


def test_bytes_count_the_body(node: Running) -> None:
    key = limited(node, limit("byte", 1000))
    with node.client(key) as client:
        first = client.post("/predict/a", json=ROWS)
        size = len(first.request.content)
        assert first.headers["ratelimit-remaining"] == str(1000 - size)


def test_more_than_the_whole_limit_at_once_is_told_to_be_smaller(node: Running) -> None:
    key = limited(node, limit("row", 10))
    with node.client(key) as client:
        refused = client.post("/predict/a", json=ROWS * 11)
        assert refused.status_code == 413
        assert "send it in smaller parts" in refused.text
    assert statuses(node, key, "/predict/a", 1, ROWS * 10) == [200], "the refused one cost nothing"


def test_a_call_that_cannot_be_read_costs_nothing(node: Running) -> None:
    key = limited(node, limit("request", 1))
    assert statuses(node, key, "/predict/a", 3, [["words"]]) == [400] * 3
    assert statuses(node, key, "/predict/a", 1) == [200]


def test_one_model_s_limit_leaves_the_others_alone(node: Running) -> None:
    key = limited(node, limit("request", 1, model="a"))
    assert statuses(node, key, "/predict/a", 2) == [200, 429]
    assert statuses(node, key, "/predict/b", 2) == [200, 200]


def test_one_key_s_limit_leaves_the_others_alone(node: Running) -> None:
    other = node.prepared.key()
    mine = node.prepared.key()
    limited(node, limit("request", 1, key_id=mine.id))
    assert statuses(node, mine, "/predict/a", 2) == [200, 429]
    assert statuses(node, other, "/predict/a", 2) == [200, 200]


def test_of_two_limits_the_tighter_one_holds_and_a_refusal_takes_from_none(node: Running) -> None:
    key = limited(node, limit("request", 3), limit("row", 10))
    assert statuses(node, key, "/predict/a", 3, ROWS * 4) == [200, 200, 429]
    assert statuses(node, key, "/predict/a", 2) == [200, 429]


def test_a_second_later_a_limit_by_the_second_lets_in_again(node: Running) -> None:
    key = limited(node, limit("request", 3, 1))
    found: list[int] = []
    with node.client(key) as client:
        while found.count(200) < 12:
            found.append(client.post("/predict/a", json=ROWS).status_code)
    assert found.count(429) > 0


def test_calls_one_after_another_are_never_concurrent(node: Running) -> None:
    key = limited(node, limit("concurrent", 1, 0))
    assert statuses(node, key, "/predict/a", 20) == [200] * 20


def test_grpc_calls_it_resource_exhausted_and_counts_with_the_others(node: Running) -> None:
    key = limited(node, limit("request", 2))
    message = oip_grpc.encode_request(Call("a", {"x": np.array(ROWS, np.float32)}))
    with calling(node, key) as caller:
        caller.bytes(f"{OIP}/ModelInfer", message)
        assert statuses(node, key, "/predict/a", 1) == [200]
        with refused("RESOURCE_EXHAUSTED", "2 requests a minute"):
            caller.bytes(f"{OIP}/ModelInfer", message)


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/v2/models/a/infer", {"inputs": [OIP_INPUT]}, "error"),
        ("/v1/models/a:predict", {"instances": ROWS}, "error"),
        ("/endpoints/a/invocations", {"instances": ROWS}, "Message"),
        ("/serving-endpoints/a/invocations", {"inputs": ROWS}, "REQUEST_LIMIT_EXCEEDED"),
        ("/predict/a", ROWS, "over-limit"),
    ],
)  # fmt: skip
def test_each_protocol_refuses_in_its_own_words(node: Running, path: str, body: object, word: str) -> None:
    key = limited(node, limit("request", 1))
    with node.client(key) as client:
        assert client.post(path, json=body).status_code == 200
        refused = client.post(path, json=body)
    assert refused.status_code == 429
    assert word in refused.text
    assert "retry-after" in refused.headers


def test_refused_calls_are_counted(node: Running) -> None:
    key = limited(node, limit("request", 1))
    statuses(node, key, "/predict/a", 4)
    watcher = node.prepared.key(WATCHER)
    limits = tuple(_Permits.limits.values())
    node.apply(msgspec.structs.replace(node.prepared.snapshot(), limits=limits))
    with node.client(watcher) as client:
        page = client.get("/metrics").text
    assert 'forebay_over_limit_total{limit="request-1",project="default"} 3.0' in page


def test_a_hub_that_is_away_leaves_what_is_leased(node: Running) -> None:
    key = limited(node, limit("request", 50))
    assert statuses(node, key, "/predict/a", 1) == [200]
    _Permits.limits = {}  # the hub has nothing to say of it any more
    found = statuses(node, key, "/predict/a", 50)
    assert found[0] == 200
    assert 429 in found
