"""The home: one supervisor at a time, honest words about what runs, logs that end."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from forebay.app.supervisor import Home, Part, Running, claimed_port
from forebay.app.supervisor.logfile import LogFile
from forebay.app.supervisor.probe import answers_ok
from forebay.core import new_key
from forebay.core.errors import Conflict, Forbidden, Malformed

RUNNING = Running(
    pid=os.getpid(),
    hub_url="http://127.0.0.1:1",
    node_url="http://127.0.0.1:2",
    grpc_url="127.0.0.1:3",
    started_at="2026-11-21T12:00:00+00:00",
    release="0",
    parts={"hub": Part(pid=5, ready=True), "node": Part()},
)


def test_a_second_supervisor_in_the_same_home_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with home.held():
        home.write(RUNNING)
        with pytest.raises(
            Conflict, match=r"already up in .*process \d+, hub at http://127.0.0.1:1.*forebay down"
        ):
            Home(tmp_path / "home").held().__enter__()
    with home.held():
        assert home.read() is None


def test_what_a_killed_supervisor_left_behind_counts_for_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom forebay.app.supervisor import Home\n"
        "home = Home(Path(sys.argv[1]))\n"
        "with home.held():\n"
        "    (home.folder / 'up.json').write_text(sys.argv[2])\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path, "{}"], check=False)
    home = Home(tmp_path)
    assert (tmp_path / "up.json").exists()
    assert home.read() is None
    with home.held():
        home.write(RUNNING)
        assert home.read() == RUNNING


def test_it_is_ready_when_every_part_is() -> None:
    assert not RUNNING.ready


def test_a_home_that_is_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(Forbidden, match="name a folder of yours with --home or FOREBAY_HOME"):
        Home(tmp_path / "home").prepare()


def test_the_home_is_closed_to_others(tmp_path: Path) -> None:
    Home(tmp_path / "home").prepare()
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_a_taken_port_is_refused_by_the_name_of_its_setting() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            Conflict, match=f"port {port} of 127.0.0.1 is taken .* --hub-port or FOREBAY_HUB_PORT"
        ):
            claimed_port("127.0.0.1", port, "--hub-port")
    assert claimed_port("127.0.0.1", port, "--hub-port") == port


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Malformed, match="set --host or FOREBAY_HOST"):
        claimed_port("203.0.113.7", 0, "--port")


def test_a_log_is_turned_over_and_the_oldest_is_dropped(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "hub.log", pytest.fail, largest_bytes=100)
    for number in range(101):
        log.write(f"line {number:03}, which is thirty long\n".encode())
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 6
    assert all(file.stat().st_size < 200 for file in kept)
    assert log.path.read_text() == "line 100, which is thirty long\n"
    assert log.last_line == "line 100, which is thirty long"


def test_a_crash_prints_no_key_into_a_log(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "hub.log", pytest.fail)
    key = new_key()
    log.write(b"\xff KeyError: 'Bearer " + key.secret.encode() + b"'\n")
    assert log.path.read_bytes() == f"\xff KeyError: 'Bearer fb-{key.id}-…'\n".encode().replace(
        "\xff".encode(), b"\xff"
    )


def test_a_full_disk_loses_lines_and_says_so_once(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "hub.log").symlink_to("/dev/full")
    log = LogFile(tmp_path / "hub.log", said.append)
    log.write(b"one\n")
    log.write(b"two\n\n")
    assert log.last_line == "two"
    assert said == [f"{tmp_path}/hub.log cannot be written (No space left on device); lines are being lost"]


def test_nobody_answers_where_nobody_listens() -> None:
    assert not asyncio.run(answers_ok("http://127.0.0.1:1/health"))
