"""A model that never comes back is found, and the node leaves for its supervisor to start it anew."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from forebay.core import Key
from forebay.serving.node.feed import write_snapshot
from support import hanging
from support.nodes import Prepared, running
from support.tiny_models import scaler

TESTS = Path(__file__).parents[2]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    prepared = Prepared(tmp_path / "node")
    for name, pause_s in (("quick", 0.0), ("slow", 0.005)):
        prepared.deploy(name, [prepared.keep(hanging.write_hanging(tmp_path / name, pause_s))])
    prepared.deploy("calm", [prepared.artifact(scaler())])
    return prepared


@contextmanager
def node_process(prepared: Prepared, hang_s: float) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A node of its own, and its port."""
    write_snapshot(prepared.folder / "snapshot-0.json", prepared.snapshot())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    plugins = hanging.install(prepared.folder / "plugins")
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(plugins), str(TESTS), str(TESTS.parent / "src")])
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "support.hanging", str(prepared.folder), str(port), str(hang_s)],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until_ready(port)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def until_ready(port: int) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/v2/health/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the node is never ready")


def body(value: float) -> dict[str, object]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [value] * 3}]}


def asking(port: int, key: Key) -> httpx.Client:
    headers = {"authorization": f"Bearer {key.secret}"}
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}/v2/models", headers=headers, trust_env=False, timeout=30
    )


@pytest.mark.slow
def test_a_batch_that_hangs_on_the_event_loop_ends_the_process_with_its_stacks_in_the_log(
    prepared: Prepared,
) -> None:
    key = prepared.key()
    with node_process(prepared, hang_s=1.0) as (process, port), asking(port, key) as client:
        assert client.post("quick/infer", json=body(1)).status_code == 200
        with pytest.raises(httpx.TransportError):
            client.post("quick/infer", json=body(hanging.ASLEEP))
        _, said = process.communicate(timeout=30)
        assert process.returncode == 70
        assert "in run" in said
        assert "hanging.py" in said


@pytest.mark.slow
def test_a_batch_that_hangs_on_a_thread_is_found_while_others_are_answered_and_the_node_leaves(
    prepared: Prepared,
) -> None:
    key = prepared.key()
    with node_process(prepared, hang_s=1.5) as (process, port), asking(port, key) as client:
        with socket.create_connection(("127.0.0.1", port)) as hung:
            document = json.dumps(body(hanging.ASLEEP)).encode()
            head = f"POST /v2/models/slow/infer HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key.secret}\r\n"
            hung.sendall(f"{head}content-length: {len(document)}\r\n\r\n".encode() + document)
            answered = 0
            with suppress(httpx.TransportError):  # until it leaves
                while client.post("calm/infer", json=body(1)).status_code == 200:
                    answered += 1
            _, said = process.communicate(timeout=30)
        assert process.returncode == 70
        assert answered > 10
        assert "slow:1 of default has not finished a batch for 1.5 s" in said
        assert "hanging.py" in said


@pytest.mark.slow
def test_a_node_that_was_frozen_has_not_hung(prepared: Prepared) -> None:
    key = prepared.key()
    with node_process(prepared, hang_s=0.5) as (process, port), asking(port, key) as client:
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        time.sleep(1.0)
        assert process.poll() is None
        assert client.post("calm/infer", json=body(1)).status_code == 200


def test_a_node_with_a_hanging_batch_says_that_it_does_not_live_and_is_not_ready(prepared: Prepared) -> None:
    with running(prepared) as node, node.client() as client:
        assert client.get("/v2/health/live").status_code == 200
        node.node.hung = "digits:1 has not finished a batch for 60 s"
        assert client.get("/v2/health/live").status_code == 503
        assert client.get("/v2/health/ready").status_code == 503
