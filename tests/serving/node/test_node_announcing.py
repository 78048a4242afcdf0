"""A node says itself when it is ready: to our supervisor, or to systemd."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from pathlib import Path

import pytest

from forebay.serving.node.announcing import announce


def test_readiness_is_announced_once_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "door"))
        door.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "door"))
        ready = False

        async def play() -> None:
            nonlocal ready
            waiting = asyncio.create_task(announce(lambda: ready))
            await asyncio.sleep(0.1)
            with pytest.raises(BlockingIOError):
                door.recv(100)
            ready = True
            await waiting

        asyncio.run(play())
        assert door.recv(100) == b"READY=1"


def test_a_door_that_is_gone_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    said: list[str] = []
    monkeypatch.setattr(logging.getLogger("forebay.node"), "warning", lambda text, *_: said.append(text))
    asyncio.run(announce(lambda: True))
    assert said == ["nobody listens at NOTIFY_SOCKET (%s)"]
    assert "NOTIFY_SOCKET" not in os.environ, "models' processes would speak for the node"
