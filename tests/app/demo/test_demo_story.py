"""The demo, as somebody sees it who has just installed Forebay."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.instance import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def demo(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run it with a temporary folder of its own, so that what it leaves can be seen."""
    environ = {"TMPDIR": str(tmp_path), "FOREBAY_PORT": "1", "FOREBAY_URL": "http://nobody.invalid"}
    command = [sys.executable, "-m", "forebay", "demo", *options]
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(command, env=os.environ | environ, stdout=out, stderr=err, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def nothing_is_left(tmp_path: Path) -> bool:
    """No home, and no process that worked in it."""
    return not list(tmp_path.glob("forebay-*")) and not processes_in(tmp_path)


def processes_in(folder: Path) -> list[int]:
    """The processes whose FOREBAY_HOME lies below *folder*."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"FOREBAY_HOME={folder}".encode() in environ:
            found.append(int(entry.name))
    return found


def test_the_story_comes_to_a_good_end(tmp_path: Path) -> None:
    with demo(tmp_path, "--json", "--picture", str(tmp_path / "demo.svg")) as process:
        assert process.wait(240) == 0, (tmp_path / "err").read_text()
    told = json.loads((tmp_path / "out").read_text())
    assert told["accuracy"] > 0.93
    assert told["compression"].endswith("promise kept")
    assert told["version"] == 2
    assert told["served_accuracy"] == pytest.approx(told["accuracy"], abs=0.02)
    assert told["parity"]["rows_off"] == 0
    assert told["requests"] == 302
    assert 0 < told["latency_p50_ms"] <= told["latency_p99_ms"]
    assert float(told["cost"]) > 0
    story = (tmp_path / "err").read_text()
    for title in (
        "Start a hub",
        "Load",
        "Train",
        "Convert",
        "Publish",
        "Make it smaller",
        "Deploy",
        "key",
        "Ask",
        "Meter",
    ):
        assert title in story
    assert "It&#160;is&#160;a" in (tmp_path / "demo.svg").read_text()
    assert nothing_is_left(tmp_path)


def test_what_it_prints_last_works_while_it_is_kept_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with demo(tmp_path, "--keep") as process:
        until(lambda: "curl " in (tmp_path / "out").read_text() or process.poll() is not None, 240)
        printed = (tmp_path / "out").read_text()
        line = printed[printed.index("curl ") :].replace("curl ", "curl -sS --fail ", 1)
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + (tmp_path / "err").read_text()
        assert json.loads(done.stdout)["model"] == "digits"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_whoever_stops_it_halfway_finds_nothing_left(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as process:
        until(lambda: "Start a hub" in (tmp_path / "out").read_text(), 60)
        process.send_signal(number)
        assert process.wait(60) == 130
    assert nothing_is_left(tmp_path)
    assert len((tmp_path / "err").read_text().splitlines()) <= 2


def test_even_a_demo_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        until(lambda: "Start a hub" in (tmp_path / "out").read_text(), 60)
        assert processes_in(tmp_path)
        process.kill()
    until(lambda: not processes_in(tmp_path), 30)
