"""Tells whoever started this process that it is ready: our supervisor, or systemd (`Type=notify`)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

_LOOK_S = 0.05
_log = logging.getLogger("forebay.node")


async def announce(ready: Callable[[], bool]) -> None:
    """Wait until *ready*, and say so to the socket that NOTIFY_SOCKET names; nothing to do without one."""
    place = os.environ.pop("NOTIFY_SOCKET", "")  # models' processes are not to speak for the node
    if not place:
        return
    while not ready():
        await asyncio.sleep(_LOOK_S)
    address = f"\0{place[1:]}" if place.startswith("@") else place
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.connect(address)
            door.send(b"READY=1")
    except OSError as error:
        _log.warning("nobody listens at NOTIFY_SOCKET (%s)", error)
