"""A node with models that bring code of their own: what they do to themselves, they do to nobody else."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from forebay.core import DataType, Key, Limits, Signature, TensorSpec
from forebay.serving.runtime import Budget
from support.code_models import write_code
from support.nodes import Prepared, Running, running
from support.tiny_models import scaler

pytestmark = pytest.mark.slow

MOODY = """
    import os, time
    def predict(x):
        if 7 in x:
            os._exit(7)
        if 11 in x:
            time.sleep(3600)
        if 13 in x:
            raise ValueError("13 brings bad luck")
        return 2 * x
"""


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    prepared = Prepared(tmp_path / "node")
    prepared.deploy("moody", [prepared.keep(write_code(tmp_path / "moody", MOODY))])
    prepared.deploy("calm", [prepared.artifact(scaler())])
    return prepared


@pytest.fixture
def key(prepared: Prepared) -> Key:
    return prepared.key()


@pytest.fixture
def node(prepared: Prepared, key: Key) -> Iterator[Running]:
    with running(prepared, budget=Budget(code=True, call_s=1.5)) as node:
        yield node


def ask(client: httpx.Client, model: str, value: float) -> httpx.Response:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [value] * 3}]}
    return client.post(f"/v2/models/{model}/infer", json=body)


def test_a_node_runs_no_code_unless_it_may_and_serves_the_rest(prepared: Prepared, key: Key) -> None:
    with running(prepared) as node, node.client(key) as client:
        assert ask(client, "calm", 1).status_code == 200
        assert ask(client, "moody", 1).status_code == 503
        (state,) = [state for state in node.node.versions.states() if state.model == "moody"]
        assert state.state == "failed"
        assert "FOREBAY_ALLOW_CODE=true" in state.error


def test_a_call_that_kills_the_process_is_a_502_and_the_next_is_answered(node: Running, key: Key) -> None:
    with node.client(key) as client:
        assert ask(client, "moody", 3).json()["outputs"][0]["data"] == [6, 6, 6]
        died = ask(client, "moody", 7)
        assert died.status_code == 502
        assert "exit code 7" in died.json()["error"]
        assert ask(client, "moody", 4).json()["outputs"][0]["data"] == [8, 8, 8]
        refused = ask(client, "moody", 13)
        assert (refused.status_code, "13 brings bad luck" in refused.text) == (400, True)


def test_a_call_that_hangs_is_ended_while_other_models_go_on(node: Running, key: Key) -> None:
    with node.client(key) as client, node.client(key) as other:
        told: list[httpx.Response] = []
        hanging = threading.Thread(target=lambda: told.append(ask(other, "moody", 11)))
        hanging.start()
        answered = 0
        while hanging.is_alive():
            assert ask(client, "calm", 1).status_code == 200
            answered += 1
        assert told[0].status_code == 502
        assert "did not answer within 1.5 s" in told[0].text
        assert answered > 10
        assert client.get("/v2/health/live").status_code == 200
        assert ask(client, "moody", 1).status_code == 200


def test_one_who_sends_a_bad_row_spoils_nobody_elses_answer(
    prepared: Prepared, key: Key, tmp_path: Path
) -> None:
    prepared.deploy("moody", [prepared.keep(write_code(tmp_path / "again", MOODY))], Limits(wait_s=0.2))
    with running(prepared, budget=Budget(code=True)) as node:
        statuses: dict[int, int] = {}

        def call(value: int) -> None:
            with node.client(key) as client:
                statuses[value] = ask(client, "moody", value).status_code

        callers = [threading.Thread(target=call, args=(value,)) for value in (1, 13, 2, 3)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert statuses == {1: 200, 13: 400, 2: 200, 3: 200}


def test_a_process_that_is_killed_under_load_costs_its_batch_at_most(node: Running, key: Key) -> None:
    (served,) = [served for _, served in node.node.versions.served() if served.model == "moody"]
    statuses: list[int] = []

    def call() -> None:
        with node.client(key, timeout_s=30) as client:
            statuses.extend(ask(client, "moody", value % 5).status_code for value in range(60))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    killed: set[int] = set()
    while any(caller.is_alive() for caller in callers) and len(killed) < 3:
        worker = served.lane._backend._worker  # type: ignore[attr-defined]  # the process behind it
        if worker is not None and worker.pid not in killed:
            time.sleep(0.05)
            os.kill(worker.pid, signal.SIGKILL)
            killed.add(worker.pid)
        time.sleep(0.05)
    for caller in callers:
        caller.join()
    assert len(statuses) == 240
    assert set(statuses) <= {200, 502}
    assert statuses.count(502) <= 4 * len(killed)
    with node.client(key) as client:
        assert ask(client, "moody", 1).status_code == 200


def test_a_model_whose_process_does_not_come_up_is_not_ready_and_says_why(
    prepared: Prepared, key: Key, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    source = f"""
        import os
        if os.path.exists({str(broken)!r}):
            os._exit(5)
        def predict(x):
            if 7 in x:
                os._exit(6)
            return x
    """
    prepared.deploy("moody", [prepared.keep(write_code(tmp_path / "again", source))])
    with running(prepared, budget=Budget(code=True)) as node, node.client(key) as client:
        broken.touch()
        until(lambda: client.get("/v2/models/moody/ready").status_code == 503, client)
        (state,) = [state for state in node.node.versions.states() if state.model == "moody"]
        assert state.state == "failed"
        assert "its process" in state.error
        assert client.get("/v2/health/ready").status_code == 200
        assert client.get("/v2/models/calm/ready").status_code == 200
        broken.unlink()
        for _ in range(200):
            if client.get("/v2/models/moody/ready").status_code == 200:
                break
            time.sleep(0.05)
        assert client.get("/v2/models/moody/ready").status_code == 200


def until(true: Callable[[], bool], client: httpx.Client) -> None:
    """Ask the model, which dies of it, until *true*."""
    for _ in range(100):
        ask(client, "moody", 7)
        if true():
            return
    raise AssertionError("never")


def test_text_goes_in_and_out(prepared: Prepared, key: Key, tmp_path: Path) -> None:
    text = Signature((TensorSpec("t", DataType.BYTES, (-1,)),), (TensorSpec("y", DataType.BYTES, (-1,)),))
    source = """
        def predict(t):
            return [word.upper() for word in t]
    """
    prepared.deploy("loud", [prepared.keep(write_code(tmp_path / "loud", source, text))])
    with running(prepared, budget=Budget(code=True)) as node, node.client(key) as client:
        body = {"inputs": [{"name": "t", "datatype": "BYTES", "shape": [2], "data": ["äh", ""]}]}
        answer = client.post("/v2/models/loud/infer", json=body)
        assert answer.json()["outputs"][0]["data"] == ["ÄH", ""]


def test_a_stopped_node_leaves_no_process_behind(prepared: Prepared, key: Key) -> None:
    with running(prepared, budget=Budget(code=True)) as node:
        (served,) = [served for _, served in node.node.versions.served() if served.model == "moody"]
        pid = served.lane._backend._worker.pid  # type: ignore[attr-defined]  # the process behind it
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
