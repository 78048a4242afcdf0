"""What a node refuses by itself: the narrowed key, the one that has ended, the stream that outlives it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import grpc
import numpy as np
import pytest

from forebay.control.access import PERMISSIONS, Role
from forebay.core import PROTOCOLS, Bounds, Key, Permission
from forebay.serving.node.grpc import GrpcDoor
from forebay.serving.node.grpc_doors import GRPC_DOORS
from forebay.serving.node.http_doors import HTTP_DOORS
from forebay.serving.wire import Call, oip_grpc
from support.grpc_caller import OIP, Caller, calling, refused
from support.nodes import CALLER, WATCHER, Prepared, Running, running
from support.tiny_models import scaler

ROWS = [[1.0, 2.0, 3.0]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = Prepared(tmp_path_factory.mktemp("node"))
    for model in ("shop-eu", "shop-us", "other"):
        prepared.deploy(model, [prepared.artifact(scaler())])
    prepared.key()
    with running(prepared) as started:
        yield started


def known(node: Running, bounds: Bounds | None, permissions: frozenset[Permission] = CALLER) -> Key:
    key = node.prepared.key(permissions, bounds)
    node.apply(node.prepared.snapshot())
    return key


def ask(node: Running, key: Key, path: str = "/predict/shop-eu") -> tuple[int, str]:
    with node.client(key) as client:
        answer = client.post(path, json=ROWS) if path.startswith("/predict") else client.get(path)
        return answer.status_code, answer.text


def message(model: str) -> bytes:
    call = Call(model, {"x": np.array(ROWS, np.float32)})
    return oip_grpc.encode_request(call)


def infer(caller: Caller, model: str = "shop-eu") -> bytes:
    return caller.bytes(f"{OIP}/ModelInfer", message(model))


@pytest.mark.parametrize("door", [*HTTP_DOORS, *GRPC_DOORS], ids=lambda door: str(door.path))
def test_every_door_that_takes_a_key_says_which_protocol_it_speaks(door: Any) -> None:
    assert (door.protocol in PROTOCOLS) == (door.permission is not None)


@pytest.mark.parametrize("role", Role)
def test_every_role_passes_the_doors_that_the_table_gives_it_and_no_others(node: Running, role: Role) -> None:
    key = known(node, None, PERMISSIONS[role])
    with node.client(key) as client:
        for door in HTTP_DOORS:
            path = door.path.replace("{model}", "shop-eu").replace("{version}", "1")
            status = client.request(door.method, path, content=b"{}").status_code
            assert (status != 403) == passes(role, door.permission), f"{door.method} {path}: {status}"
    with calling(node, key) as caller:
        for rpc in GRPC_DOORS:
            assert (status_of(caller, rpc) != "PERMISSION_DENIED") == passes(role, rpc.permission), rpc.path


def passes(role: Role, permission: Permission | None) -> bool:
    return permission is None or permission in PERMISSIONS[role]


def status_of(caller: Caller, door: GrpcDoor) -> str:
    """How a call of a method ends."""
    try:
        next(caller.stream(iter([b""]), door.path)) if door.streams else caller.bytes(door.path)
    except grpc.RpcError as error:
        found: Any = error
        return str(found.code().name)
    return "OK"


def test_a_key_for_a_pattern_asks_what_it_covers(node: Running) -> None:
    key = known(node, Bounds(models=("shop-*",)))
    assert ask(node, key)[0] == ask(node, key, "/predict/shop-us")[0] == 200
    status, said = ask(node, key, "/predict/other")
    assert status == 403
    assert "may not use the model 'other'" in said
    with node.client(key) as client:
        assert client.get("/v2/models").json() == {"models": ["shop-eu", "shop-us"]}
    with calling(node, key) as caller:
        assert infer(caller)
        with refused("PERMISSION_DENIED", "may not use the model 'other'"):
            infer(caller, "other")


def test_a_key_for_one_protocol_is_refused_by_the_others(node: Running) -> None:
    key = known(node, Bounds(protocols=("rows",)))
    assert ask(node, key)[0] == 200
    assert ask(node, key, "/v2/models/shop-eu")[0] == 403
    with calling(node, key) as caller, refused("PERMISSION_DENIED", "for the protocols rows and not"):
        infer(caller)
    key = known(node, Bounds(protocols=("oip-grpc",)))
    assert ask(node, key)[0] == 403
    with calling(node, key) as caller:
        assert infer(caller)


@pytest.mark.parametrize(("network", "expected"), [("127.0.0.0/8", 200), ("10.0.0.0/8", 403)])
def test_a_key_for_a_network_is_good_there_only(node: Running, network: str, expected: int) -> None:
    key = known(node, Bounds(networks=(network,)), CALLER | WATCHER)
    for path in ("/predict/shop-eu", "/v2/models", "/metrics"):
        assert ask(node, key, path)[0] == expected
    with calling(node, key) as caller:
        if expected == 200:
            assert infer(caller)
            return
        with refused("PERMISSION_DENIED", "may not be used from 127.0.0.1"):
            infer(caller)


def test_a_key_ends_without_a_word_from_the_hub(node: Running) -> None:
    ends_s = time.time() + 1.0
    key = known(node, Bounds(until_s=ends_s))
    statuses = {ask(node, key)[0]}
    while time.time() < ends_s:
        statuses.add(ask(node, key)[0])
    assert ask(node, key)[0] == 401
    assert "has expired" in ask(node, key)[1]
    assert 200 in statuses
    with calling(node, key) as caller, refused("UNAUTHENTICATED", "has expired"):
        infer(caller)


def test_a_stream_ends_with_the_key_that_opened_it(node: Running) -> None:
    key = known(node, None)
    asked: SimpleQueue[bytes | None] = SimpleQueue()
    with calling(node, key) as caller:
        answers = caller.stream(iter(asked.get, None))
        asked.put(message("shop-eu"))
        assert next(answers)
        node.prepared.keys.pop()
        node.apply(node.prepared.snapshot())
        asked.put(message("shop-eu"))
        with refused("UNAUTHENTICATED", "was revoked"):
            next(answers)
        asked.put(None)


def test_a_node_remembers_which_keys_it_has_seen_until_it_has_told(node: Running) -> None:
    key, idle = known(node, None), known(node, None)
    began_s = time.time()
    assert ask(node, key)[0] == 200
    used = node.node._state().keys_used
    assert began_s <= used[key.id] <= time.time()
    assert idle.id not in used
    node.node._keys_used.pop(key.id)  # the hub has heard of it
    assert ask(node, key)[0] == 200
    assert key.id not in node.node._state().keys_used
    node.node.admission.begin_round()
    assert ask(node, key)[0] == 200
    assert key.id in node.node._state().keys_used
