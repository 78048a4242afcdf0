"""The node as a process: one event loop, from start to drain."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal

from forebay.core.errors import Conflict
from forebay.serving.node.config import NodeConfig
from forebay.serving.node.service import Node

_log = logging.getLogger("forebay.node")


def run(config: NodeConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises `Conflict` when the port or the folder is taken."""
    try:
        import uvloop  # noqa: PLC0415 (not to be had on every platform)
    except ImportError:
        asyncio.run(_serve(config))
    else:
        uvloop.run(_serve(config))


async def _serve(config: NodeConfig) -> None:
    node = Node(config)
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    try:
        port = await node.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Conflict(f"port {config.port} is taken; choose another with --port or FOREBAY_PORT") from error
    _log.info("listening on http://%s:%d", config.host, port)
    await leave.wait()
    _log.info("leaving: answering what was asked")
    await node.stop()
