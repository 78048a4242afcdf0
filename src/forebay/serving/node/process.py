"""The node as a process: one event loop, from start to drain."""

from __future__ import annotations

import asyncio
import logging
import signal

from forebay.serving.node.config import NodeConfig
from forebay.serving.node.service import Node

_log = logging.getLogger("forebay.node")


def run(config: NodeConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises `Conflict` when a port or the folder is taken."""
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
    port = await node.start()
    _log.info("listening on http://%s:%d, gRPC on port %d", config.host, port, node.grpc_port)
    await leave.wait()
    _log.info("leaving: answering what was asked")
    await node.stop()
