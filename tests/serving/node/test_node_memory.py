"""More models than the memory holds: who asks gets an answer, or hears what to do."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from forebay.core import LoadState
from support.held import Held, holding
from support.nodes import WATCHER, Prepared, Running, running
from support.tiny_models import heavy, heavy_answer

pytestmark = pytest.mark.slow

ROW = [[1.0, 2.0, 3.0]]
SIZE = 1_000_000
NAMES = ("a", "b", "c")
Hold = Callable[[Running, str], Held]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """The models a, b and c, of 1 MB each."""
    made = Prepared(tmp_path / "node")
    for seed, name in enumerate(NAMES):
        made.deploy(name, [made.artifact(heavy(seed))])
    return made


@contextmanager
def serving(
    prepared: Prepared, models: float, *, in_turn: str = "abc", **changed: object
) -> Iterator[tuple[Running, httpx.Client]]:
    """A node with the memory of so many models, which were asked *in_turn*, and a client."""
    key = prepared.key()
    with (
        running(prepared, model_memory_bytes=int(models * SIZE * 1.02), **changed) as node,
        node.client(key) as client,
    ):
        for name in in_turn:
            check(client, name)
        yield node, client


@pytest.fixture(autouse=True)
def exact_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model takes what its files take: what else the test's process allocates is not for these tests."""
    monkeypatch.setattr("forebay.serving.engine.weighing.resident_bytes", lambda _pid=None: 0)


def ask(client: httpx.Client, name: str) -> httpx.Response:
    return client.post(f"/predict/{name}", json=ROW)


def check(client: httpx.Client, name: str, seed: int | None = None) -> None:
    answer = ask(client, name)
    assert answer.status_code == 200, answer.text
    expected = heavy_answer(NAMES.index(name) if seed is None else seed, np.array(ROW))
    np.testing.assert_allclose(answer.json()["rows"][0]["y"], expected[0], rtol=1e-3, atol=1e-5)


def state(node: Running, name: str, version: int = 1) -> LoadState:
    found = [each for each in node.node.versions.states() if (each.model, each.version) == (name, version)]
    assert len(found) == 1, node.node.versions.states()
    return found[0]


def states(node: Running) -> dict[str, str]:
    return {each.model: each.state for each in node.node.versions.states()}


def until(what: Callable[[], bool]) -> None:
    for _ in range(500):
        if what():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to that")


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Keeps a loaded model from answering, until it is let go."""
    with ExitStack() as stack:
        yield lambda node, name: stack.enter_context(holding(node.node.routing.find("default", name).lane))


def test_every_model_is_tried_once_and_the_least_recently_used_makes_room(prepared: Prepared) -> None:
    with serving(prepared, 2) as (node, client):
        assert states(node) == {"a": "unloaded", "b": "ready", "c": "ready"}
        assert client.get("/v2/health/ready").status_code == 200
        assert client.get("/v2/models/a/ready").status_code == 200, "it has answered before"
        check(client, "c")
        check(client, "b")
        check(client, "a")
        assert states(node) == {"a": "ready", "b": "ready", "c": "unloaded"}
        assert node.node.manager.loaded_bytes <= node.node.manager.budget_bytes
        assert state(node, "a").memory_bytes >= SIZE
        assert state(node, "c").memory_bytes == 0
        check(client, "c")
        assert states(node)["b"] == "unloaded"


def test_callers_who_come_at_once_share_one_load(prepared: Prepared) -> None:
    with serving(prepared, 2) as (node, client), ThreadPoolExecutor(20) as pool:
        loads = node.node.manager.stats.loads
        list(pool.map(lambda _: check(client, "a"), range(20)))
        assert node.node.manager.stats.loads == loads + 1


def test_one_who_leaves_while_a_model_loads_harms_nobody(prepared: Prepared, hold: Hold) -> None:
    with serving(prepared, 1) as (node, client), ThreadPoolExecutor(8) as pool:
        held = hold(node, "c")
        busy = pool.submit(check, client, "c")
        assert held.began.wait(10)
        waits = node.node.routing.find("default", "a").lane
        hang_up = asks_and_hangs_up(node, client, "a")
        patient = [pool.submit(check, client, "a") for _ in range(3)]
        until(lambda: waits.waiting == 4)
        hang_up()
        until(lambda: waits.waiting == 3)
        assert waits.stats.left == 1
        held.let_go()
        for each in (busy, *patient):
            each.result()


def asks_and_hangs_up(node: Running, client: httpx.Client, name: str) -> Callable[[], None]:
    body = b"[[1, 2, 3]]"
    head = (
        f"POST /predict/{name} HTTP/1.1\r\nhost: here\r\nauthorization: {client.headers['authorization']}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    peer = node.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sendall(head.encode() + body)
    return peer.close


def test_one_for_whom_nobody_waits_any_more_is_not_loaded(prepared: Prepared, hold: Hold) -> None:
    with serving(prepared, 1) as (node, client), ThreadPoolExecutor(1) as pool:
        held = hold(node, "c")
        busy = pool.submit(check, client, "c")
        assert held.began.wait(10)
        loads, waits = node.node.manager.stats.loads, node.node.routing.find("default", "a").lane
        hang_up = asks_and_hangs_up(node, client, "a")
        until(lambda: waits.waiting == 1)
        hang_up()
        until(lambda: waits.waiting == 0)
        held.let_go()
        busy.result()
        check(client, "c")
        assert (states(node)["a"], node.node.manager.stats.loads) == ("unloaded", loads)


def test_a_busy_model_is_never_unloaded_and_who_waits_for_room_hears_why(
    prepared: Prepared, hold: Hold
) -> None:
    with serving(prepared, 1) as (node, client), ThreadPoolExecutor(1) as pool:
        node.node.config = replace(node.node.config, request_wait_s=0.5)
        held = hold(node, "c")
        busy = pool.submit(check, client, "c")
        assert held.began.wait(10)
        answer = ask(client, "a")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "busy or pinned" in answer.text
        assert "FOREBAY_MODEL_MEMORY_BYTES" in answer.text
        assert states(node)["c"] == "ready"
        node.node.config = replace(node.node.config, request_wait_s=30.0)
        held.let_go()
        busy.result()
        check(client, "a")


def test_other_models_answer_while_one_is_waited_for(prepared: Prepared, hold: Hold) -> None:
    with serving(prepared, 2) as (node, client), ThreadPoolExecutor(3) as pool:
        check(client, "b")
        held = [hold(node, name) for name in ("b", "c")]
        busy = [pool.submit(check, client, name) for name in ("b", "c")]
        assert all(each.began.wait(10) for each in held)
        waits = pool.submit(check, client, "a")
        held[0].let_go()
        busy[0].result()
        waits.result()
        check(client, "a")
        assert states(node)["c"] == "ready"
        held[1].let_go()
        busy[1].result()


def test_what_is_pinned_stays_and_the_others_hear_what_to_do(prepared: Prepared) -> None:
    prepared.deploy("a", [prepared.artifact(heavy(0))], pin=True)
    with serving(prepared, 1, in_turn="") as (node, client):
        until(lambda: states(node)["a"] == "ready")
        check(client, "a")
        answer = ask(client, "b")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "what is pinned leaves less than that" in answer.text
        assert "without --pin" in answer.text
        check(client, "a")
        prepared.deploy("a", [prepared.artifact(heavy(0))])
        node.apply(prepared.snapshot())
        until(lambda: ask(client, "b").status_code == 200)
        check(client, "b")


def test_a_model_that_is_pinned_later_is_loaded_for_good(prepared: Prepared) -> None:
    with serving(prepared, 2) as (node, client):
        prepared.deploy("a", [prepared.artifact(heavy(0))], pin=True)
        node.apply(prepared.snapshot())
        until(lambda: states(node)["a"] == "ready")
        for name in ("b", "c", "b", "c"):
            check(client, name)
        assert states(node)["a"] == "ready"


def test_a_model_larger_than_all_the_memory_is_refused_with_figures(prepared: Prepared) -> None:
    prepared.deploy("large", [prepared.artifact(heavy(7, 2.3))])
    with serving(prepared, 2) as (node, client):
        answer = ask(client, "large")
        assert answer.status_code == 503
        assert "large:1 takes 2.3 MB" in answer.text
        assert "2.0 MB together" in answer.text
        assert client.get("/v2/models/large/ready").status_code == 503
        assert state(node, "large").state == "failed"
        check(client, "a")


def test_one_that_proves_larger_than_all_the_memory_leaves_it_again(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed = iter([0, 50_000_000])
    monkeypatch.setattr("forebay.serving.engine.weighing.resident_bytes", lambda _pid=None: next(weighed, 0))
    prepared.deployments = prepared.deployments[:1]
    with serving(prepared, 2, in_turn="") as (node, client):
        answer = ask(client, "a")
        assert answer.status_code == 503
        assert "a:1 takes 50.0 MB" in answer.text
        until(lambda: node.node.manager.loaded_bytes == 0)


def test_a_load_that_fails_is_told_to_all_who_wait_and_is_mended(prepared: Prepared, hold: Hold) -> None:
    with serving(prepared, 1) as (node, client), ThreadPoolExecutor(9) as pool:
        digest = next(each.targets[0].artifact for each in prepared.deployments if each.model == "a")
        folder = prepared.folder / "artifacts" / digest
        folder.rename(prepared.folder / "away")
        held = hold(node, "c")
        busy = pool.submit(check, client, "c")
        assert held.began.wait(10)
        asked = [pool.submit(ask, client, "a") for _ in range(8)]
        waits = node.node.routing.find("default", "a").lane
        until(lambda: waits.waiting == 8)
        held.let_go()
        busy.result()
        for each in asked:
            answer = each.result()
            assert answer.status_code == 503
            assert "the model cannot be loaded" in answer.text
            assert int(answer.headers["retry-after"]) >= 1
        assert state(node, "a").state == "failed"
        (prepared.folder / "away").rename(folder)
        until(lambda: states(node)["a"] == "ready")
        check(client, "a")


def test_a_swap_for_which_the_memory_holds_only_one_fails_no_request(prepared: Prepared) -> None:
    prepared.deployments = prepared.deployments[:1]
    with serving(prepared, 1, in_turn="a") as (node, client):
        stop = threading.Event()

        def load() -> set[int]:
            found = set()
            while not stop.is_set():
                found.add(ask(client, "a").status_code)
            return found

        with ThreadPoolExecutor(4) as pool:
            work = [pool.submit(load) for _ in range(4)]
            for version in range(2, 8):
                prepared.deploy("a", [prepared.artifact(heavy(version))], first=version)
                node.apply(prepared.snapshot())
                until(lambda: state_of(node, version) == "ready")  # noqa: B023 (waited for at once)
            stop.set()
            assert [each.result() for each in work] == [{200}] * 4
        check(client, "a", seed=7)
        until(lambda: len(node.node.manager.residents) == 1)
        assert node.node.manager.loaded_bytes <= node.node.manager.budget_bytes


def state_of(node: Running, version: int) -> str:
    return next((each.state for each in node.node.versions.states() if each.version == version), "unknown")


def test_where_only_one_has_room_a_new_version_that_does_not_load_gives_way_to_the_old(
    prepared: Prepared,
) -> None:
    prepared.deployments = prepared.deployments[:1]
    with serving(prepared, 1, in_turn="a") as (node, client):
        prepared.deploy("a", [prepared.artifact(b"this is no model" * 60_000)], first=2)
        node.apply(prepared.snapshot())
        until(lambda: state_of(node, 2) == "failed")
        check(client, "a", seed=0)
        assert "ONNX Runtime cannot load" in state(node, "a", 2).error


def test_a_deployment_that_goes_while_somebody_waits_for_it_still_answers(
    prepared: Prepared, hold: Hold
) -> None:
    with serving(prepared, 1) as (node, client), ThreadPoolExecutor(2) as pool:
        held = hold(node, "c")
        busy = pool.submit(check, client, "c")
        assert held.began.wait(10)
        waits = node.node.routing.find("default", "a").lane
        asked = pool.submit(check, client, "a")
        until(lambda: waits.waiting == 1)
        prepared.deployments = [each for each in prepared.deployments if each.model == "c"]
        node.apply(prepared.snapshot())
        assert ask(client, "a").status_code == 404
        held.let_go()
        busy.result()
        asked.result()
        until(lambda: len(node.node.manager.residents) == 1)


def test_metrics_and_the_report_say_what_is_in_memory(prepared: Prepared) -> None:
    watcher = prepared.key(WATCHER)
    with serving(prepared, 2) as (node, client):
        check(client, "a")
        with node.client(watcher) as eyes:
            page = eyes.get("/metrics").text
        said = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        manager = node.node.manager
        assert float(said["forebay_model_memory_budget_bytes"]) == manager.budget_bytes
        assert float(said["forebay_model_memory_bytes"]) == manager.loaded_bytes
        assert said['forebay_versions{state="ready"}'] == "2.0"
        assert said['forebay_versions{state="unloaded"}'] == "1.0"
        loads, evictions = (float(said[f"forebay_model_{what}_total"]) for what in ("loads", "evictions"))
        assert loads == evictions + 2 == float(said["forebay_model_load_seconds_count"])
        report = node.node._state()
        assert report.loaded_bytes == manager.loaded_bytes > 2 * SIZE
        assert report.budget_bytes == manager.budget_bytes


def test_counters_outlive_an_eviction(prepared: Prepared) -> None:
    with serving(prepared, 1, in_turn="aba") as (_, client):
        counted = client.get("/v2/models/a/stats").json()["model_stats"][0]
        assert counted["inference_count"] == 2


def test_a_queue_for_an_unloaded_model_is_bounded(prepared: Prepared, hold: Hold) -> None:
    with (
        serving(prepared, 1, queue_rows=4, batch_rows=2) as (node, client),
        ThreadPoolExecutor(6) as pool,
    ):
        held = hold(node, "c")
        busy = pool.submit(check, client, "c")
        assert held.began.wait(10)
        asked = [pool.submit(ask, client, "a") for _ in range(4)]
        waits = node.node.routing.find("default", "a").lane
        until(lambda: waits.waiting == 4)
        full = ask(client, "a")
        assert full.status_code == 429
        assert full.headers["retry-after"] == "1"
        held.let_go()
        busy.result()
        assert {each.result().status_code for each in asked} == {200}
