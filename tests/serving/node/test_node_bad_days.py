"""What a node has to survive."""

from __future__ import annotations

import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from forebay.core import DataType, Key, Limits, Signature, TensorSpec
from forebay.core.errors import Broken, Conflict, StorageFull
from forebay.serving.node.feed import read_snapshot
from forebay.serving.usage import FileJournal
from support.held import holding
from support.nodes import Prepared, Running, running
from support.tiny_models import TWICE, echo_text, scaler

ROW = [[1.0, 2.0, 3.0]]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    made = Prepared(tmp_path / "node")
    made.deploy("model", [made.artifact(scaler(1))])
    return made


def first_number(client: httpx.Client, name: str = "model") -> float:
    answer = client.post(f"/predict/{name}", json=ROW)
    assert answer.status_code == 200, answer.text
    return float(answer.json()["rows"][0]["y"][0])


def wait_until(node: Running, key: Key, number: float) -> None:
    with node.client(key) as client:
        for _ in range(3000):
            if first_number(client) == number:
                return
            time.sleep(0.02)
    raise AssertionError(f"never answered {number}: {node.node.versions.states()}")


def test_a_hundred_swaps_under_load_fail_no_request(prepared: Prepared) -> None:
    key = prepared.key()
    with running(prepared) as node:
        stop = threading.Event()

        def load() -> list[int]:
            statuses = []
            with node.client(key) as client:
                while not stop.is_set():
                    statuses.append(client.post("/predict/model", json=ROW).status_code)
            return statuses

        with ThreadPoolExecutor(4) as pool:
            work = [pool.submit(load) for _ in range(4)]
            most = 0
            try:
                for i in range(100):
                    prepared.deploy("model", [prepared.artifact(scaler(i + 2))], first=i + 2)
                    node.apply(prepared.snapshot())
                    most = max(most, len(node.node.manager.residents))
                    time.sleep(0.01)
                wait_until(node, key, 101.0)
            finally:
                stop.set()
            statuses = [status for each in work for status in each.result()]
        assert len(statuses) > 200
        assert set(statuses) == {200}
        assert len(node.node.versions.served()) == 1, "old versions stay loaded"
        assert most < 10, "versions are loaded that were overtaken on their way in"


def test_a_damaged_artifact_is_never_loaded_and_the_old_version_goes_on(prepared: Prepared) -> None:
    key = prepared.key()
    with running(prepared) as node:
        digest = prepared.artifact(scaler(7))
        path = prepared.folder / "artifacts" / digest / "model.onnx"
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        prepared.deploy("model", [digest], first=2)
        node.apply(prepared.snapshot())
        time.sleep(0.3)
        with node.client(key) as client:
            assert first_number(client) == 1.0
        states = {state.version: state for state in node.node.versions.states()}
        assert states[2].state == "fetching", "a hub that comes back mends it"
        assert "the hub is away" in states[2].error
        assert not path.exists(), "a damaged artifact stays on the disk"


def test_a_model_that_does_not_load_says_why_and_the_others_serve(prepared: Prepared) -> None:
    key = prepared.key()
    prepared.deploy("broken", [prepared.artifact(b"this is no model")])
    with running(prepared) as node, node.client(key) as client:
        assert first_number(client) == 1.0
        answer = client.post("/predict/broken", json=ROW)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert client.get("/v2/models/broken/ready").status_code == 503
        (failed,) = [state for state in node.node.versions.states() if state.model == "broken"]
        assert "ONNX Runtime cannot load" in failed.error


def test_limits_that_cannot_work_fail_the_deployment_with_a_sentence(prepared: Prepared) -> None:
    prepared.deploy("odd", [prepared.artifact(scaler(3))], Limits(batch_rows=100, queue_rows=10))
    with running(prepared) as node:
        (failed,) = [state for state in node.node.versions.states() if state.model == "odd"]
        assert "never fills a batch" in failed.error


def test_a_deployment_that_goes_leaves_nothing_behind(prepared: Prepared) -> None:
    key = prepared.key()
    with running(prepared) as node, node.client(key) as client:
        assert first_number(client) == 1.0
        prepared.deployments.clear()
        node.apply(prepared.snapshot())
        assert client.post("/predict/model", json=ROW).status_code == 404
        for _ in range(100):
            if not node.node.versions.served():
                break
            time.sleep(0.02)
        assert node.node.versions.served() == []
        assert node.node.versions.states() == ()


def test_a_node_starts_and_serves_while_the_hub_is_away(prepared: Prepared) -> None:
    key = prepared.key()
    for _ in range(2):
        with running(prepared) as node, node.client(key) as client:
            assert first_number(client) == 1.0


def test_a_snapshot_on_disk_that_cannot_be_read_is_no_reason_to_die(
    prepared: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    prepared.folder.mkdir(exist_ok=True)
    path = prepared.folder / "snapshot-0.json"
    path.write_bytes(b'{"hub": "x", "numb')
    assert read_snapshot(path) is None
    assert "cannot be read" in caplog.text


def test_when_usage_cannot_be_written_down_the_answer_does_not_leave(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = prepared.key()
    with running(prepared) as node, node.client(key) as client:
        journal = node.node.journal

        def full(_events: object) -> None:
            raise StorageFull("no room for the journal")

        with monkeypatch.context() as patched:
            patched.setattr(journal, "append", full)  # the real full disk is in the journal's own tests
            answer = client.post("/predict/model", json=ROW)
            assert answer.status_code == 507
            assert answer.json()["error"]["code"] == "storage-full"
        assert first_number(client) == 1.0
        shipment = journal.read()
        assert shipment is not None
        assert len(shipment.events) == 1


def test_two_nodes_never_share_a_folder(prepared: Prepared) -> None:
    with running(prepared), pytest.raises(Broken, match="journal"):
        FileJournal(prepared.folder / "journal" / "0")


@pytest.mark.parametrize("option", ["port", "grpc_port"])
def test_a_taken_port_is_refused_by_the_name_of_its_setting(
    prepared: Prepared, tmp_path: Path, option: str
) -> None:
    other = Prepared(tmp_path / "other")
    with running(prepared) as node:
        port = {"port": node.port, "grpc_port": node.node.grpc_port}[option]
        with (
            pytest.raises(Conflict, match=f"port {port} is taken; .* FOREBAY_{option.upper()}"),
            running(other, **{option: port}),
        ):
            pytest.fail("two nodes on one port")


def test_a_clock_that_jumps_changes_no_deadline_and_no_duration(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = prepared.key()
    with running(prepared) as node, node.client(key) as client:
        real_ns = time.time_ns
        for hours in (0, 5, -5):
            monkeypatch.setattr(time, "time_ns", lambda: real_ns() + hours * 3_600_000_000_000)  # noqa: B023
            assert first_number(client) == 1.0
        monkeypatch.undo()
        shipment = node.node.journal.read()
    assert shipment is not None
    assert all(0 < event.wall_ns < 5e9 for event in shipment.events)


def test_a_caller_that_hangs_up_is_not_billed_and_harms_nobody(prepared: Prepared) -> None:
    key = prepared.key()
    with (
        running(prepared) as node,
        node.client(key) as patient,
        ThreadPoolExecutor(2) as pool,
    ):
        node.wait_ready()
        with holding(node.node.routing.find("default", "model").lane) as held:
            waits = pool.submit(first_number, patient)
            assert held.began.wait(10)
            with node.socket() as hasty:
                head = f"host: x\r\nauthorization: Bearer {key.secret}\r\ncontent-length: 9"
                hasty.sendall(f"POST /predict/model HTTP/1.1\r\n{head}\r\n\r\n[[1,2,3]]".encode())
                held.wait_for(lambda lane: lane.waiting == 1)
                hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no mere FIN
            held.wait_for(lambda lane: lane.stats.left == 1)
        assert waits.result() == 1.0
        shipment = node.node.journal.read()
    assert shipment is not None
    assert len(shipment.events) == 1


def test_text_goes_in_and_out(tmp_path: Path) -> None:
    text = Signature((TensorSpec("x", DataType.BYTES, (-1, 1)),), (TensorSpec("y", DataType.BYTES, (-1, 1)),))
    made = Prepared(tmp_path / "node")
    key = made.key()
    made.deploy("echo", [made.artifact(echo_text(), text)])
    with running(made) as node, node.client(key) as client:
        said = client.post("/predict/echo", json=[["grüß"], ["dich"]]).json()
    assert said["rows"] == [{"y": "grüß"}, {"y": "dich"}]


def test_a_large_model_runs_beside_the_loop(tmp_path: Path) -> None:
    made = Prepared(tmp_path / "node")
    key = made.key()
    made.deploy("deep", [made.artifact(scaler(2, repeats=3000), TWICE)])
    made.deploy("quick", [made.artifact(scaler(3))])
    with running(made) as node, node.client(key) as client:
        rows = np.ones((50, 3)).tolist()
        with ThreadPoolExecutor(4) as pool:
            slow = [pool.submit(client.post, "/predict/deep", json=rows) for _ in range(20)]
            assert first_number(client, "quick") == 3.0
            assert {each.result().status_code for each in slow} == {200}
