"""A whole Forebay for a test: a real supervisor, hub and node, in a home of its own on free ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Done = subprocess.CompletedProcess[str]


class Instance:
    """One home and the commands that are run on it. `up` starts it; `environ` is what it runs under."""

    def __init__(self, home: Path, **settings: object) -> None:
        self.home = home
        given = {"home": home, "port": 0, "grpc_port": 0, "hub_port": 0} | settings
        self.environ = dict(os.environ) | {
            f"FOREBAY_{name.upper()}": str(value) for name, value in given.items()
        }

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> Done:
        """Run `forebay …` as a person would; a command that fails fails the test, unless *check* is False."""
        done = subprocess.run(
            [sys.executable, "-m", "forebay", *arguments],
            env=self.environ, input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}\n{self.logs()}"
        return done

    def json(self, *arguments: str, stdin: str | None = None) -> Any:
        """What `forebay … --json` answers."""
        return json.loads(self.run(*arguments, "--json", stdin=stdin).stdout)

    def up(self) -> None:
        """Start it; returns when hub and node answer."""
        self.run("up", "--detach")

    def down(self) -> None:
        """Let it finish and leave."""
        self.run("down")

    @property
    def said(self) -> Any:
        """What `up.json` says."""
        return json.loads((self.home / "up.json").read_text())

    @property
    def hub_url(self) -> str:
        """Where the hub is."""
        return str(self.said["hub_url"])

    @property
    def node_url(self) -> str:
        """Where the node is."""
        return str(self.said["node_url"])

    @property
    def grpc_url(self) -> str:
        """Where the node takes gRPC calls."""
        return str(self.said["grpc_url"])

    @property
    def admin_key(self) -> str:
        """The key that may do everything."""
        return (self.home / "admin.key").read_text().strip()

    def pid(self, part: str) -> int:
        """The process of `hub` or `node`; 0 while it is down."""
        return int(self.said["parts"][part]["pid"])

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal (kill -9) to `hub` or `node`; the supervisor starts it again."""
        os.kill(self.pid(part), number)

    def restarted(self, part: str, before: int) -> bool:
        """Whether *part* answers again, in another process than *before*."""
        found = self.said["parts"][part]
        return bool(found["ready"]) and found["pid"] not in (0, before)

    def logs(self) -> str:
        """The end of every log, for the message of a failed test."""
        logs = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}" for log in logs)


def until(true: Callable[[], bool], within_s: float = 30.0, what: str = "it") -> None:
    """Wait until *true*; fails the test when that takes longer than *within_s*."""
    give_up_at = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < give_up_at, f"{what} did not happen within {within_s} s"
        time.sleep(0.02)
