"""A node, asked over gRPC by a real client, while its hub is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from forebay.core import Bounds, DataType, Frame, Key, Limits, Permission, Signature, TensorSpec, UsageEvent
from forebay.core.errors import StorageFull
from forebay.serving.node.grpc_doors import GRPC_DOORS, UNSERVED
from forebay.serving.node.tfs_grpc_doors import TFS_GRPC_DOORS
from forebay.serving.usage.frames import HEADER_BYTES, read_frames
from forebay.serving.wire import Answer, Call, oip_grpc, oip_grpc_pages
from support.grpc_caller import OIP, Caller, calling, refused
from support.held import Held, holding
from support.nodes import CALLER, WATCHER, Prepared, Running, running
from support.tiny_models import echo, echo_signature, echo_text, scaler

TEXT = Signature((TensorSpec("x", DataType.BYTES, (-1, 1)),), (TensorSpec("y", DataType.BYTES, (-1, 1)),))
EVERY_DOOR = (*GRPC_DOORS, *TFS_GRPC_DOORS)
ROW = np.array([[1, 2, 3]], np.float32)
HALVES = (DataType.FP16, DataType.BF16)
OPEN = {
    f"{OIP}/ServerLive",
    f"{OIP}/ServerReady",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = Prepared(tmp_path_factory.mktemp("node"))
    prepared.deploy("twice", [prepared.artifact(scaler())], Limits(queue_rows=8_000_000))
    prepared.deploy("either", [prepared.artifact(scaler(10)), prepared.artifact(scaler(100))])
    prepared.deploy("text", [prepared.artifact(echo_text(), TEXT)])
    for each in HALVES:
        prepared.deploy(each.value.lower(), [prepared.artifact(echo(each), echo_signature(each))])
    prepared.deploy("slow", [prepared.artifact(scaler(repeats=2000))], Limits(batch_rows=1, queue_rows=4))
    prepared.key()
    with running(prepared, max_body_bytes=32 << 20) as started:
        yield started


@pytest.fixture
def key(node: Running) -> Key:
    return known(node)


def known(node: Running, permissions: frozenset[Permission] = CALLER, *models: str) -> Key:
    """A new key that the node knows."""
    key = node.prepared.key(permissions, Bounds(models=tuple(models)) if models else None)
    node.apply(node.prepared.snapshot())
    return key


def twice(row: Any = ROW, **fields: Any) -> Call:
    return Call("twice", {"x": np.asarray(row, np.float32)}, **fields)


def events(node: Running) -> list[UsageEvent]:
    """All that it has written down."""
    found = []
    for path in sorted((node.prepared.folder / "journal").glob("*/*.journal")):
        for _, frame in read_frames(memoryview(path.read_bytes())[HEADER_BYTES:], None):
            assert isinstance(frame, Frame)
            found += frame.events()
    return found


def test_a_model_answers_raw_and_typed_contents_with_raw_ones(node: Running, key: Key) -> None:
    with calling(node, key) as caller:
        for raw in (True, False):
            answer = caller.infer(twice(id="7"), raw=raw)
            assert (answer.model, answer.version, answer.id) == ("twice", "1", "7")
            assert answer.outputs["y"].tolist() == [[2, 4, 6]]
        assert caller.infer(twice()).id is None
        words = np.array([[b"a"], [b""], ["é".encode()]], object)
        assert caller.infer(Call("text", {"x": words})).outputs["y"].tolist() == words.tolist()
        assert caller.infer(twice(np.zeros((0, 3)))).outputs["y"].shape == (0, 3)
        versions = {caller.infer(Call("either", {"x": ROW})).version for _ in range(2)}
        assert versions == {"1", "2"}
        second = caller.infer(Call("either", {"x": ROW}, "2"))
        assert second.outputs["y"].tolist() == [[100, 200, 300]]


@pytest.mark.parametrize("datatype", HALVES)
def test_half_floats_go_through_a_model(node: Running, key: Key, datatype: DataType) -> None:
    bits = np.array([[0x3C00, 0x3F80], [0x7FC0, 0x0001]], np.uint16)
    rows = bits.view(datatype.dtype)
    bf16 = ("x",) if datatype is DataType.BF16 else ()
    with calling(node, key) as caller:
        answer = caller.infer(Call(datatype.value.lower(), {"x": rows}, bf16=bf16))
        assert answer.outputs["y"].tobytes() == bits.tobytes()
        assert answer.bf16 == (("y",) if bf16 else ())
        empty = caller.infer(Call(datatype.value.lower(), {"x": rows[:0]}, bf16=bf16))
        assert empty.outputs["y"].shape == (0, 2)


@pytest.mark.parametrize("encoding", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_calls_are_answered(node: Running, key: Key, encoding: Any) -> None:
    rows = np.ones((1000, 3), np.float32)
    with calling(node, key) as caller:
        assert caller.infer(twice(rows), compression=encoding).outputs["y"].sum() == 6000
        assert caller.infer(twice(), compression=encoding).outputs["y"].sum() == 12


def test_large_messages_pass_the_windows_both_ways(node: Running, key: Key) -> None:
    rows = np.arange(1_800_000 * 3, dtype=np.float32).reshape(-1, 3)
    with calling(node, key) as caller, ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: caller.infer(twice(rows)).outputs["y"], range(2)))
    assert all(np.array_equal(each, rows * 2) for each in found)


def test_many_callers_on_one_connection_get_their_own_answers(node: Running, key: Key) -> None:
    with calling(node, key) as caller, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> float:
            return float(caller.infer(twice([[number, 0, 0]], id=str(number))).outputs["y"][0, 0])

        assert list(pool.map(ask, range(400))) == [2.0 * number for number in range(400)]


@pytest.mark.parametrize("door", EVERY_DOOR, ids=lambda door: str(door.path))
def test_every_method_needs_a_key_but_health(node: Running, door: Any) -> None:
    assert (door.permission is None) == (door.path in OPEN)
    ask: Callable[[Caller], object]
    if door.streams:
        ask = lambda caller: next(caller.stream(iter([b""]), door.path))  # noqa: E731 (one of two)
    else:
        ask = lambda caller: caller.bytes(door.path)  # noqa: E731 (one of two)
    with calling(node, None) as nobody:
        if door.permission is None:
            ask(nobody)
            return
        with refused("UNAUTHENTICATED", "needs a key"):
            ask(nobody)
    with calling(node, known(node, WATCHER)) as other, refused("PERMISSION_DENIED", "may not predict"):
        ask(other)


def test_every_method_of_the_files_has_a_door() -> None:
    declared = {
        f"/{file.package}.{service.name}/{method.name}"
        for spoken in oip_grpc_pages.SPOKEN
        for file in spoken.files
        for service in file.service
        for method in service.method
    }
    assert declared == {door.path for door in EVERY_DOOR}


@pytest.mark.parametrize("method", [*UNSERVED, f"{OIP}/Nothing", "/nothing.At/All"])
def test_what_is_not_served_says_so(node: Running, key: Key, method: str) -> None:
    with calling(node, key) as caller, refused("UNIMPLEMENTED", UNSERVED.get(method, "no method")):
        caller.bytes(method)


def test_a_key_for_other_models_is_refused(node: Running) -> None:
    with calling(node, known(node, CALLER, "text")) as caller:
        for ask in (
            lambda: caller.infer(twice()),
            lambda: caller.page("ModelMetadata", name="twice"),
            lambda: caller.page("ModelReady", name="twice"),
        ):
            with refused("PERMISSION_DENIED", "may not use the model 'twice'"):
                ask()
        listed = caller.page("RepositoryIndex").models
        assert [(each.name, each.state) for each in listed] == [("text", "READY")]
        assert {each.name for each in caller.page("ModelStatistics").model_stats} == {"text"}


@pytest.mark.parametrize(
    ("call", "status", "sentence"),
    [
        (Call("nobody", {"x": ROW}), "NOT_FOUND", "Request for unknown model: 'nobody' is not found"),
        (Call("either", {"x": ROW}, "9"), "NOT_FOUND", "version 9 is not deployed"),
        (twice(np.zeros((1, 4))), "INVALID_ARGUMENT", "takes the shape [-1, 3]"),
        (twice([[np.nan, 0, 0]]), "INVALID_ARGUMENT", "NaN"),
        (Call("twice", {"x": ROW.astype(np.float64)}), "INVALID_ARGUMENT", "takes FP32"),
        (Call("twice", {"z": ROW}), "INVALID_ARGUMENT", "the model takes the inputs ['x']"),
        (twice(outputs=("z",)), "INVALID_ARGUMENT", "no output 'z'"),
        (twice(np.zeros((3_000_000, 3))), "RESOURCE_EXHAUSTED", "FOREBAY_MAX_BODY_BYTES"),
        (Call("slow", {"x": np.zeros((5, 3), np.float32)}), "RESOURCE_EXHAUSTED", "this model takes 4"),
    ],
)
def test_a_mistake_has_its_status_and_its_sentence(
    node: Running, key: Key, call: Call, status: str, sentence: str
) -> None:
    with calling(node, key) as caller, refused(status, sentence):
        caller.infer(call)


def test_rubbish_is_an_invalid_argument(node: Running, key: Key) -> None:
    with calling(node, key) as caller:
        with refused("INVALID_ARGUMENT", "no inference.ModelInferRequest"):
            caller.bytes(f"{OIP}/ModelInfer", b"\xff\xff\xff")
        with refused("INVALID_ARGUMENT", "no inference.ModelReadyRequest"):
            caller.bytes(f"{OIP}/ModelReady", b"\xff")
        with refused("UNIMPLEMENTED", "repository"):
            caller.page("RepositoryIndex", repository_name="mine")


@pytest.fixture
def held(node: Running) -> Iterator[Held]:
    with holding(node.node.routing.find("default", "slow").lane) as found:
        yield found


SLOW = Call("slow", {"x": ROW})


@pytest.mark.parametrize("messages", [[], [b"", b""], [b""] * 50])
def test_a_unary_call_takes_one_message(node: Running, key: Key, messages: list[bytes]) -> None:
    with calling(node, key) as caller, refused("INVALID_ARGUMENT", "exactly one whole message"):
        list(caller.stream(iter(messages), f"{OIP}/ServerMetadata"))


def test_a_full_queue_is_unavailable_and_says_when_to_come_back(node: Running, key: Key, held: Held) -> None:
    with calling(node, key) as caller:
        first = caller.later(SLOW)
        assert held.began.wait(10)
        others = [caller.later(SLOW) for _ in range(6)]
        held.wait_for(lambda lane: lane.waiting == 4 and sum(each.done() for each in others) == 2)
        held.let_go()
        assert first.code().name == "OK"
        codes = sorted(each.code().name for each in others)
        assert codes == ["OK"] * 4 + ["UNAVAILABLE"] * 2
        full = next(each for each in others if each.code().name == "UNAVAILABLE")
        assert ("retry-after", "4") in [tuple(each) for each in full.trailing_metadata()]


def test_a_deadline_frees_the_seat(node: Running, key: Key, held: Held) -> None:
    before = held.lane.stats.left + held.lane.stats.expired
    with calling(node, key) as caller:
        first = caller.later(SLOW)
        assert held.began.wait(10)
        with refused("DEADLINE_EXCEEDED"):
            caller.infer(SLOW, timeout=0.05)
        held.let_go()
        assert first.code().name == "OK"
        held.wait_for(lambda lane: lane.stats.left + lane.stats.expired == before + 1)


def test_one_who_cancels_leaves_the_queue_and_the_others_are_served(
    node: Running, key: Key, held: Held
) -> None:
    before = held.lane.stats.left
    with calling(node, key) as caller:
        asked = [caller.later(SLOW)]
        assert held.began.wait(10)
        asked += [caller.later(SLOW) for _ in range(2)]
        held.wait_for(lambda lane: lane.waiting == 2)
        asked[2].cancel()
        held.wait_for(lambda lane: lane.stats.left == before + 1)
        held.let_go()
        assert [each.code().name for each in asked[:2]] == ["OK"] * 2


def test_usage_is_written_down_before_the_answer_leaves(node: Running, key: Key) -> None:
    with calling(node, key) as caller:
        before = len(events(node))
        caller.infer(twice(np.ones((5, 3))), metadata=[("x-request-id", "mine")])
        event = events(node)[-1]
        assert len(events(node)) == before + 1
        assert (event.protocol, event.model, event.version, event.rows) == ("oip-grpc", "twice", 1, 5)
        assert (event.project, event.key_id, event.request_id) == ("default", key.id, "mine")
        assert event.request_bytes > 60
        assert event.response_bytes > 60


def test_an_answer_that_cannot_be_written_down_does_not_leave(
    node: Running, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_events: object) -> None:
        raise StorageFull("the journal's disk is full")

    with calling(node, key) as caller:
        with monkeypatch.context() as patched:
            patched.setattr(node.node.journal, "append", full)
            with refused("RESOURCE_EXHAUSTED", "disk is full"):
                caller.infer(twice())
            said = list(caller.stream(iter([oip_grpc.encode_request(twice())])))
            assert oip_grpc.decode_stream_answer(said[0]) == "the journal's disk is full"
        assert caller.infer(twice()).outputs["y"].shape == (1, 3)


def test_a_stream_answers_in_order_and_goes_on_after_a_mistake(node: Running, key: Key) -> None:
    calls = [
        twice([[0, 0, 0]], id="0"),
        Call("slow", {"x": ROW}, id="1"),
        Call("nobody", {"x": ROW}, id="2"),
        twice([[3, 0, 0]], id="3"),
        twice(id="4", parameters={"triton_enable_empty_final_response": True}),
    ]
    messages = [*map(oip_grpc.encode_request, calls), b"\xff"]
    before = len(events(node))
    with calling(node, key) as caller:
        said = [oip_grpc.decode_stream_answer(each) for each in caller.stream(iter(messages))]
    assert [each.id if isinstance(each, Answer) else each[:25] for each in said] == [
        "0",
        "1",
        "Request for unknown model",
        "3",
        "4",
        "4",
        "the message is no inferen",
    ]
    assert [isinstance(each, Answer) and len(each.outputs) for each in said[4:6]] == [1, 0]
    assert len(events(node)) == before + 4


def test_a_stream_ends_at_the_first_mistake_for_one_who_asks_for_that(node: Running, key: Key) -> None:
    messages = map(oip_grpc.encode_request, [twice(), Call("nobody", {"x": ROW}), twice()])
    with calling(node, key) as caller:
        stream = caller.stream(messages, metadata=[("triton_grpc_error", "true")])
        with refused("NOT_FOUND", "unknown model"):
            list(stream)


def test_a_stream_that_is_cancelled_leaves_nothing_behind(node: Running, key: Key) -> None:
    with calling(node, key) as caller:
        stream = caller.stream(oip_grpc.encode_request(twice()) for _ in range(2000))
        assert next(stream)
        stream.cancel()
    with calling(node, key) as caller:
        assert caller.infer(twice()).outputs["y"].shape == (1, 3)


def test_pages_say_over_grpc_what_they_say_over_http(node: Running, key: Key) -> None:
    with calling(node, key) as caller, node.client(key) as http:
        assert caller.page("ServerLive").live
        assert caller.page("ServerReady").ready
        assert list(caller.page("ServerMetadata").extensions) == http.get("/v2").json()["extensions"]
        metadata = caller.page("ModelMetadata", name="twice")
        assert [(each.name, each.datatype, list(each.shape)) for each in metadata.inputs] == [
            ("x", "FP32", [-1, 3])
        ]
        assert caller.page("ModelReady", name="twice", version="1").ready
        assert not caller.page("ModelReady", name="nobody").ready
        config = caller.page("ModelConfig", name="text").config
        assert config.input[0].data_type == 13
        assert config.WhichOneof("scheduling_choice") == "dynamic_batching"
        caller.infer(twice())
        over_http = http.get("/v2/models/twice/stats").json()["model_stats"][0]
        statistics = caller.page("ModelStatistics", name="twice").model_stats[0]
        assert statistics.inference_count == over_http["inference_count"]
        assert statistics.inference_stats.success.ns == over_http["inference_stats"]["success"]["ns"]
        for kind in ("ModelMetadata", "ModelConfig", "ModelStatistics"):
            with refused("NOT_FOUND", "Request for unknown model"):
                caller.page(kind, name="nobody")


def test_health_is_checked_and_watched(node: Running) -> None:
    health = oip_grpc_pages._HEALTH.message
    status = health("grpc.health.v1.HealthCheckResponse").FromString
    ask = health("grpc.health.v1.HealthCheckRequest")
    with calling(node, None) as caller:
        for service in ("", "inference.GRPCInferenceService"):
            message = ask(service=service).SerializeToString()
            assert status(caller.bytes("/grpc.health.v1.Health/Check", message)).status == 1
        with refused("NOT_FOUND", "no service"):
            caller.bytes("/grpc.health.v1.Health/Check", ask(service="x").SerializeToString())
        watch = caller.stream(iter([b""]), "/grpc.health.v1.Health/Watch")
        assert status(next(watch)).status == 1
        watch.cancel()


def test_reflection_lists_what_is_spoken(node: Running, key: Key) -> None:
    package = "grpc.reflection.v1"
    protocol = oip_grpc_pages._REFLECTIONS["v1"]
    ask = protocol.message(f"{package}.ServerReflectionRequest")
    messages = [ask(list_services="").SerializeToString()]
    with calling(node, key) as caller:
        method = f"/{package}.ServerReflection/ServerReflectionInfo"
        (said,) = caller.stream(iter(messages), method)
    listed = protocol.message(f"{package}.ServerReflectionResponse").FromString(said)
    services = {each.name for each in listed.list_services_response.service}
    assert "inference.GRPCInferenceService" in services


def test_metrics_count_calls(node: Running, key: Key) -> None:
    watcher = known(node, WATCHER)
    with calling(node, known(node)) as caller:
        caller.infer(twice())
        with node.client(watcher) as http:
            page = http.get("/metrics").text
    assert f'forebay_grpc_answers_total{{method="{OIP}/ModelInfer",status="OK"}}' in page
    assert "forebay_grpc_connections 1.0" in page


def test_a_node_that_leaves_answers_what_was_asked_and_ends_streams(tmp_path: Path) -> None:
    prepared = Prepared(tmp_path)
    prepared.deploy("slow", [prepared.artifact(scaler(repeats=2000))])
    key = prepared.key()
    prepared.deploy("twice", [prepared.artifact(scaler())])
    sent = threading.Event()

    def messages() -> Iterator[bytes]:
        yield oip_grpc.encode_request(twice())
        sent.wait(10)

    with running(prepared) as node, calling(node, key) as caller:
        stream = caller.stream(messages())
        next(stream)
        asked = [caller.later(Call("slow", {"x": ROW})) for _ in range(5)]
        threading.Event().wait(0.1)
        node.stop()
        assert {each.code().name for each in asked} == {"OK"}
        with refused("UNAVAILABLE", "leaving"):
            next(stream)
        sent.set()
        with refused("UNAVAILABLE"):
            caller.infer(twice())
