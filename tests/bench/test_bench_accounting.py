from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import accounting, servers
from bench.measuring import used
from bench.servers import (
    Family,
    end_leftovers,
    free_ports,
    last_words,
    started,
    wait_answering,
    wait_listening,
)
from bench.words import Missing

DETACHED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
time.sleep(60)
"""
BUSY = """
import time
end = time.process_time() + 0.2
while time.process_time() < end:
    pass
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(servers, "CACHE", tmp_path / "cache")


def test_a_process_may_be_called_anything() -> None:
    process = accounting.parse_stat(
        "42 (ray::IDLE (1) x) S 7 42 9 0 -1 0 0 0 0 0 100 20 3 4 20 0 1 0 777 0 0"
    )
    assert (process.pid, process.name, process.state) == (42, "ray::IDLE (1) x", "S")
    assert (process.parent, process.session, process.started) == (7, 9, 777)
    assert process.cpu_s == pytest.approx(1.27)


def test_memory_is_read_with_shared_pages_counted_once() -> None:
    text = "55d0-7ffe ---p 00000000 00:00 0   [rollup]\nRss:   2048 kB\nPss:   1024 kB\nPss_Anon: 1 kB\n"
    memory = accounting.parse_rollup(text)
    assert (memory.resident_bytes, memory.proportional_bytes) == (2 << 20, 1 << 20)


def test_one_who_detaches_himself_stays_in_the_family_and_is_ended_with_it(tmp_path: Path) -> None:
    family, file = Family(), tmp_path / "pid"
    command = [sys.executable, "-c", DETACHED, str(file)]
    with started("detached", command, {}, tmp_path, family):
        until_written(file)
        pid = int(file.read_text())
        assert pid in family.members()
    assert accounting.processes().get(pid) is None or accounting.processes()[pid].state == "Z"


def test_what_a_killed_benchmark_has_left_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    environ = {**os.environ, **Family().environment}
    with subprocess.Popen(command, env=environ) as left:
        while "BENCH_FAMILY" not in accounting.environment_of(left.pid):
            time.sleep(0.01)
        end_leftovers()
        assert left.poll() is not None


def test_cpu_time_is_counted_and_quiet_is_waited_for(tmp_path: Path) -> None:
    family = Family()
    with started("busy", [sys.executable, "-c", BUSY], {}, tmp_path, family):
        family.settle(20)
        assert family.cpu_s() >= 0.15
        assert family.memory().resident_bytes > 1 << 20
        family.learn_idle(0.2)
        assert family.idle_share < 0.2


def test_a_server_that_ends_at_once_is_named_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    [port] = free_ports(1)
    with (
        started("hasty", command, {}, tmp_path, Family()) as first,
        pytest.raises(Missing, match="hasty ended at once with 1: no such model"),
    ):
        wait_answering(first, "hasty", port, "/")


def test_a_server_that_listens_is_waited_for(tmp_path: Path) -> None:
    [port] = free_ports(1)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with started("listening", command, {}, tmp_path, Family()) as first:
        wait_listening(first, "listening", port)
        wait_answering(first, "listening", port, "/")


def test_who_said_nothing_has_no_last_words() -> None:
    assert last_words("nobody") == "it said nothing"


def test_parts_that_used_nothing_are_not_listed() -> None:
    family = Family()
    before, after = family.cpu_by_part(), family.cpu_by_part()
    after["node"], before["hub"], after["hub"] = 1.5, 2.0, 2.0  # type: ignore[assignment]  # seconds are counted
    assert used(before, after, {}, 1.0) == {"node": 1.5}


def test_what_a_part_does_anyway_is_not_counted_after_the_load() -> None:
    before, after = Family().cpu_by_part(), Family().cpu_by_part()
    after["hub"] = 1.5  # type: ignore[assignment]  # seconds are counted
    assert used(before, after, {"hub": 0.05}, 2.0) == {"hub": 1.4}


def test_the_machine_is_busier_after_some_work() -> None:
    before = accounting.busy_s()
    subprocess.run([sys.executable, "-c", BUSY.replace("60", "0")], check=True)
    assert accounting.busy_s() - before >= 0.15


def until_written(file: Path) -> None:
    for _ in range(500):
        if file.exists() and file.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"{file} was never written")
