from __future__ import annotations

import re
from pathlib import Path

import grpc
import numpy as np
import pytest

from forebay.core import Key, Limits
from forebay.serving.wire import Call, oip_grpc
from support.collector import Collector, attributes, collecting
from support.nodes import Prepared, running
from support.tiny_models import scaler

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
DOOR = "POST /predict/{model}"
INFER = "inference.GRPCInferenceService/ModelInfer"
STREAM = "inference.GRPCInferenceService/ModelStreamInfer"


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    made = Prepared(tmp_path / "node")
    made.deploy("twice", [made.artifact(scaler())], Limits(cache_bytes=1 << 20))
    return made


@pytest.fixture
def key(prepared: Prepared) -> Key:
    return prepared.key()


def asked(
    prepared: Prepared,
    key: Key,
    collector: Collector,
    headers: dict[str, str] | None = None,
    *,
    share: float = 1.0,
    rows: object = ((1, 2, 3),),
    times: int = 1,
) -> str:
    """Ask a node that tells *collector*, and let it leave; the last answer's `traceresponse`."""
    config = {"trace_endpoint": f"{collector.url}/v1/traces", "trace_share": share, "release": "1.2.3"}
    with running(prepared, **config) as node, node.client(key) as client:
        node.wait_ready()
        answers = [client.post("/predict/twice", json=rows, headers=headers or {}) for _ in range(times)]
    return str(answers[-1].headers.get("traceresponse", ""))


def test_a_callers_trace_goes_on_through_queue_and_model(prepared: Prepared, key: Key) -> None:
    with collecting() as collector:
        said = asked(prepared, key, collector, {"traceparent": SAMPLED, "tracestate": "a=b"})
    assert collector.paths == {"/v1/traces"}
    whole, queue, compute = (collector.spans[name] for name in (DOOR, "queue", "compute"))
    assert whole.trace_id.hex() == TRACE
    assert whole.parent_span_id.hex() == SPAN
    assert whole.trace_state == "a=b"
    assert queue.parent_span_id == compute.parent_span_id == whole.span_id
    assert said == f"00-{TRACE}-{whole.span_id.hex()}-01"
    assert (
        whole.start_time_unix_nano
        <= queue.start_time_unix_nano
        <= queue.end_time_unix_nano
        == compute.start_time_unix_nano
        < compute.end_time_unix_nano
        <= whole.end_time_unix_nano
    )
    about = attributes(whole)
    assert (about["forebay.model"], about["forebay.version"], about["forebay.rows"]) == ("twice", 1, 1)
    assert about["http.response.status_code"] == 200
    assert (collector.resource["service.name"], collector.resource["service.version"]) == (
        "forebay-node",
        "1.2.3",
    )


@pytest.mark.parametrize(("share", "told"), [(1.0, True), (0.0, False)])
def test_a_request_without_a_trace_begins_one_as_often_as_the_share_says(
    prepared: Prepared, key: Key, share: float, told: bool
) -> None:
    with collecting() as collector:
        said = asked(prepared, key, collector, share=share)
    assert bool(collector.spans) is bool(said) is told


def test_a_caller_who_is_not_traced_is_left_alone_and_rubbish_is_no_trace(
    prepared: Prepared, key: Key
) -> None:
    with collecting() as collector:
        assert asked(prepared, key, collector, {"traceparent": UNSAMPLED}) == ""
        assert not collector.spans
        said = asked(prepared, key, collector, {"traceparent": "rubbish"})
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", said)
        assert TRACE not in said


def test_an_error_is_told_with_its_name(prepared: Prepared, key: Key) -> None:
    with collecting() as collector:
        assert asked(prepared, key, collector, {"traceparent": SAMPLED}, rows=[[1]])
    about = attributes(collector.spans[DOOR])
    assert (about["http.response.status_code"], about["error.type"]) == (400, "malformed")
    assert "compute" not in collector.spans


def test_an_answer_from_the_cache_shows_no_computing(prepared: Prepared, key: Key) -> None:
    with collecting() as collector:
        asked(prepared, key, collector, times=2)
    assert attributes(collector.spans[DOOR])["forebay.cache"] == "hit"


def test_grpc_calls_are_traced_alike(prepared: Prepared, key: Key) -> None:
    message = oip_grpc.encode_request(Call("twice", {"x": np.ones((2, 3), dtype=np.float32)}))
    shown = [("authorization", f"Bearer {key.secret}"), ("traceparent", SAMPLED)]
    with (
        collecting() as collector,
        running(prepared, trace_endpoint=f"{collector.url}/v1/traces") as node,
        grpc.insecure_channel(f"127.0.0.1:{node.node.grpc_port}") as channel,
    ):
        node.wait_ready()
        infer = channel.unary_unary(f"/{INFER}")
        _, call = infer.with_call(message, metadata=shown, timeout=10)
        trailers = dict(call.trailing_metadata())
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/inference.GRPCInferenceService/Nothing")(message, metadata=shown)
    whole = collector.spans[INFER]
    assert whole.trace_id.hex() == TRACE
    assert trailers["traceresponse"] == f"00-{TRACE}-{whole.span_id.hex()}-01"
    assert attributes(whole)["forebay.rows"] == 2
    assert collector.spans["compute"].parent_span_id == whole.span_id
    assert attributes(collector.spans["none"])["error.type"] == "unsupported"


def test_each_request_of_a_stream_is_told(prepared: Prepared, key: Key) -> None:
    good = oip_grpc.encode_request(Call("twice", {"x": np.ones((2, 3), dtype=np.float32)}))
    bad = oip_grpc.encode_request(Call("nobody", {"x": np.ones((1, 3), dtype=np.float32)}))
    shown = [("authorization", f"Bearer {key.secret}"), ("traceparent", SAMPLED)]
    with (
        collecting() as collector,
        running(prepared, trace_endpoint=f"{collector.url}/v1/traces") as node,
        grpc.insecure_channel(f"127.0.0.1:{node.node.grpc_port}") as channel,
    ):
        node.wait_ready()
        stream = channel.stream_stream(f"/{STREAM}")
        assert len(list(stream(iter([good, bad]), metadata=shown, timeout=10))) == 2
    told = [attributes(span) for span in collector.every if span.name == STREAM]
    assert {about.get("forebay.rows", about.get("error.type")) for about in told} == {2, "not-found"}


def test_the_collectors_own_variables_hold(
    prepared: Prepared, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-models")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=ours")
    with collecting() as collector:
        asked(prepared, key, collector)
    assert collector.resource["service.name"] == "shop-models"
    assert collector.resource["deployment.environment"] == "test"
    assert collector.headers["x-tenant"] == "ours"


def test_a_collector_that_is_away_costs_no_request(prepared: Prepared, key: Key) -> None:
    away = Collector()
    away.url = "http://127.0.0.1:9"
    assert asked(prepared, key, away, {"traceparent": SAMPLED}).startswith(f"00-{TRACE}-")
