"""What a node must not keep: requests that are answered, refused or given up."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from forebay.core import Key
from forebay.serving.node.exchange import Exchange
from forebay.serving.node.grpc import Rpc, Turn
from forebay.serving.wire import Call, oip_grpc
from support.nodes import Prepared, Running, running
from support.tiny_models import scaler

METHOD = "/inference.GRPCInferenceService/Model"
ROWS = np.ones((1, 3), np.float32)
GOOD, BAD, UNKNOWN = (
    oip_grpc.encode_request(Call(model, {"x": rows}))
    for model, rows in (("twice", ROWS), ("twice", ROWS[:, :2]), ("nobody", ROWS))
)

FEW = 10
"""Those whose last frame is just being read; a leak keeps every one of dozens."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = Prepared(tmp_path_factory.mktemp("node"))
    prepared.deploy("twice", [prepared.artifact(scaler())])
    prepared.key()
    with running(prepared) as started:
        yield started


def kept(*kinds: type) -> int:
    """How many objects of *kinds* are alive once the collector has been."""
    gc.collect()
    return sum(issubclass(type(each), kinds) for each in gc.get_objects())  # a proxy's __class__ may warn


def left_behind(work: Callable[[], object], *kinds: type) -> int:
    """How many more of *kinds* are alive after *work*, when what is on its way out has left."""
    before = more = kept(*kinds)
    work()
    for _ in range(100):
        more = kept(*kinds) - before
        if more <= FEW:
            break
        threading.Event().wait(0.1)
    return more


def test_an_http_request_leaves_nothing_behind(node: Running, key: Key) -> None:
    def work() -> None:
        with node.client(key) as client:
            for columns in (3, 2):
                for _ in range(50):
                    client.post("/predict/twice", json=[[1.0] * columns])

    assert left_behind(work, Exchange) <= FEW


def test_a_grpc_call_leaves_nothing_behind_however_it_ends(node: Running, key: Key) -> None:
    metadata = [("authorization", f"Bearer {key.secret}")]

    def work() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{node.node.grpc_port}") as channel:
            ask: Any = channel.unary_unary(f"{METHOD}Infer")
            for message in (GOOD, BAD, UNKNOWN) * 30:
                ask.future(message, metadata=metadata, timeout=10).exception()
            for _ in range(30):
                ask.future(GOOD, metadata=metadata).cancel()
            stream: Any = channel.stream_stream(f"{METHOD}StreamInfer")
            list(stream(iter([GOOD, BAD, UNKNOWN] * 30), metadata=metadata, timeout=10))
            for _ in range(10):
                opened = stream(iter([GOOD] * 5), metadata=metadata)
                next(opened)
                opened.cancel()

    assert left_behind(work, Rpc, Turn) <= FEW
