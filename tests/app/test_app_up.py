"""`forebay up`, `down` and `status`, as a person uses them: real hubs, real nodes, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay.app.supervisor import claimed_port
from support.instance import Instance, until


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """A home from which nothing runs yet; whatever a test starts is stopped."""
    found = Instance(tmp_path / "home")
    yield found
    found.run("down")


@pytest.fixture
def foreground(instance: Instance) -> Iterator[subprocess.Popen[str]]:
    """`forebay up` in a terminal of its own, ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "forebay", "up"],
        env=instance.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "Forebay is up.\n"
        yield process


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.slow
def test_up_says_where_everything_is_and_down_ends_it(instance: Instance) -> None:
    shown = instance.run("up", "--detach").stdout
    for word in (
        instance.hub_url,
        instance.node_url,
        instance.grpc_url,
        str(instance.home / "admin.key"),
        "forebay down",
    ):
        assert word in shown
    assert instance.json("status")["ready"]
    assert "answers" in instance.run("status").stdout
    pids = [instance.pid(part) for part in ("hub", "node")]
    assert instance.run("down").stdout == "stopped\n"
    assert all(gone(pid) for pid in pids)
    assert instance.run("status", check=False).returncode == 1
    assert instance.run("down").stdout == f"nothing runs from {instance.home}\n"


@pytest.mark.slow
def test_up_tells_a_program_the_same(instance: Instance) -> None:
    answer = instance.json("up", "--detach")
    assert answer["hub_url"] == instance.hub_url
    assert Path(answer["admin_key"]).read_text().startswith("fb-")
    assert instance.json("down") == {"stopped": True, "home": str(instance.home)}


@pytest.mark.slow
def test_a_second_up_on_the_same_home_is_refused(instance: Instance) -> None:
    instance.up()
    for arguments in (["up"], ["up", "--detach"]):
        refused = instance.run(*arguments, check=False)
        assert refused.returncode == 1
        assert "already up in" in refused.stderr
        assert "forebay down" in refused.stderr
    assert instance.json("status")["ready"]


@pytest.mark.parametrize("option", ["--port", "--grpc-port", "--hub-port"])
def test_a_taken_port_is_refused_by_the_name_of_its_setting(instance: Instance, option: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for detach in ([], ["--detach"]):
            refused = instance.run("up", option, port, *detach, check=False)
            variable = "FOREBAY" + option[1:].replace("-", "_").upper()
            assert refused.returncode == 1
            assert f"port {port} of 127.0.0.1 is taken" in refused.stderr
            assert f"{option} or {variable}" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_it_in_good_order(
    instance: Instance, foreground: subprocess.Popen[str], number: signal.Signals
) -> None:
    pids = [instance.pid(part) for part in ("hub", "node")]
    foreground.send_signal(number)
    _, said = foreground.communicate(timeout=30)
    assert foreground.returncode == 0
    assert "stopping: finishing what was accepted" in said
    assert "was killed" not in said
    assert all(gone(pid) for pid in pids)
    assert not (instance.home / "up.json").exists()


@pytest.mark.slow
def test_what_is_killed_comes_back_and_it_is_said(
    instance: Instance, foreground: subprocess.Popen[str]
) -> None:
    for part in ("hub", "node"):
        before = instance.pid(part)
        instance.kill(part)
        until(lambda part=part, before=before: instance.restarted(part, before))  # type: ignore[misc]  # mypy cannot see the defaults
    foreground.terminate()
    _, said = foreground.communicate(timeout=30)
    for part in ("hub", "node"):
        assert f"{part} was killed by SIGKILL; starting it again in 0.1 s" in said
        assert f"{part} is ready again" in said


@pytest.mark.slow
def test_a_killed_supervisor_takes_all_along_and_leaves_the_home_usable(instance: Instance) -> None:
    instance.up()
    pids = [instance.pid(part) for part in ("hub", "node")]
    os.kill(instance.said["pid"], signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in pids))
    assert not instance.run("status", check=False).stdout.startswith("home")
    instance.up()
    assert instance.json("status")["ready"]


@pytest.mark.slow
def test_a_database_that_is_away_is_said_and_nothing_is_left_running(instance: Instance) -> None:
    url = "postgresql+psycopg://forebay@127.0.0.1:1/hub"
    failed = instance.run("up", "--detach", "--database-url", url, check=False)
    assert failed.returncode == 1
    assert "hub does not stay up" in failed.stderr
    assert "database" in failed.stderr
    assert not instance.json("down")["stopped"]


@pytest.mark.slow
def test_several_node_processes_share_the_port(instance: Instance) -> None:
    instance.run("up", "--detach", "--workers", "2")
    assert set(instance.json("status")["parts"]) == {"hub", "node-0", "node-1"}
    names = {node["name"] for node in instance.json("nodes") if node["alive"]}
    assert len(names) == 2


@pytest.mark.slow
def test_a_node_alone_joins_a_hub_with_a_key_of_its_own(instance: Instance, tmp_path: Path) -> None:
    instance.up()
    other = Instance(tmp_path / "other", hub_port="8080")
    refused = other.run("node", "--hub", instance.hub_url, check=False)
    assert refused.returncode == 1
    assert "this node has no key" in refused.stderr
    other.environ["FOREBAY_KEY"] = instance.json("keys", "create", "edge", "--role", "node")["secret"]
    other.environ["FOREBAY_NODE_NAME"] = "edge"
    with subprocess.Popen(
        [sys.executable, "-m", "forebay", "node", "--hub", instance.hub_url],
        env=other.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as node:  # fmt: skip
        until(lambda: "edge" in {found["name"] for found in instance.json("nodes") if found["ready"]})
        node.terminate()
    assert node.returncode == 0


@pytest.mark.slow
def test_several_nodes_alone_run_under_a_supervisor_too(instance: Instance, tmp_path: Path) -> None:
    instance.up()
    other = Instance(tmp_path / "other")
    other.environ["FOREBAY_KEY"] = instance.json("keys", "create", "edge", "--role", "node")["secret"]
    with subprocess.Popen(
        [sys.executable, "-m", "forebay", "node", "--hub", instance.hub_url, "--workers", "2"],
        env=other.environ, stdout=subprocess.PIPE, text=True,
    ) as supervisor:  # fmt: skip
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "Forebay is up.\n"
        assert set(other.json("status")["parts"]) == {"node-0", "node-1"}
        other.run("down")
    assert supervisor.returncode == 0


@pytest.mark.slow
def test_a_second_hub_in_a_home_is_refused_before_it_touches_a_job(
    instance: Instance,
) -> None:
    instance.up()
    refused = instance.run("hub", check=False)
    assert refused.returncode == 1
    assert "another hub works on" in refused.stderr


def test_one_port_for_two_is_refused(instance: Instance) -> None:
    port = str(claimed_port("127.0.0.1", 0, "--port"))
    refused = instance.run("up", "--port", port, "--hub-port", port, check=False)
    assert refused.returncode == 1
    assert f"--port and --hub-port are both {port}" in refused.stderr


def test_a_misspelt_setting_stops_everything_before_it_starts(instance: Instance) -> None:
    instance.environ["FOREBAY_WORKER"] = "2"
    refused = instance.run("up", check=False)
    del instance.environ["FOREBAY_WORKER"]
    assert refused.returncode == 1
    assert "FOREBAY_WORKER is no setting; did you mean FOREBAY_WORKERS" in refused.stderr


@pytest.mark.slow
def test_no_key_is_in_any_log(instance: Instance) -> None:
    instance.up()
    instance.json("keys", "create", "shop")
    instance.run("down")
    logs = "".join(log.read_text() for log in (instance.home / "logs").glob("*.log"))
    for name in ("admin.key", "node.key"):
        secret = (instance.home / name).read_text().strip()
        assert secret not in logs
        assert json.dumps(secret) not in logs
