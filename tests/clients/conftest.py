"""A node in a process of its own, and the environments of other people's clients."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from forebay.app.supervisor import claimed_port
from forebay.core import Key
from forebay.serving.node.feed import write_snapshot
from support.nodes import Prepared

ROOT = Path(__file__).parents[2]


class Serving(NamedTuple):
    """Where a node process listens."""

    port: int
    grpc_port: int
    key: Key


@contextmanager
def node_process(prepared: Prepared, home: Path, **settings: str) -> Iterator[Serving]:
    """A node on *prepared*, which lies in *home*, without a hub; *settings* are of its environment."""
    key = prepared.key()
    write_snapshot(prepared.folder / "snapshot-0.json", prepared.snapshot())
    port, grpc_port = (claimed_port("127.0.0.1", 0, "--port") for _ in "12")
    environ = dict(os.environ) | {"FOREBAY_KEY": "none", "FOREBAY_HOME": str(home)} | settings
    command = [sys.executable, "-m", "forebay", "node", "--hub", "http://127.0.0.1:9"]
    command += ["--port", str(port), "--grpc-port", str(grpc_port)]
    with (home / "node.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        _until_ready(process, port, home / "node.log")
        yield Serving(port, grpc_port, key)
    finally:
        process.terminate()
        assert process.wait(30) == 0, (home / "node.log").read_text()


def _until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/v2/health/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"the node was never ready: {log.read_text()}")


@pytest.fixture(scope="session")
def environment_of() -> Callable[[str], str]:
    """The Python of the environment NAME, made if need be."""

    def python(name: str) -> str:
        made = subprocess.run(
            [ROOT / "scripts" / "client-venv", name],
            env=dict(os.environ) | {"PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    return python
