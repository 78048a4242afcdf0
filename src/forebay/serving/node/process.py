"""The node as a process: one event loop, from start to drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal

from forebay.serving.node.announcing import announce
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
    gc.freeze()  # what is there now stays: a full collection would stop every request to look it through
    _log.info("listening on http://%s:%d, gRPC on port %d", config.host, port, node.grpc_port)
    _log.info("%s", _means(config))
    announcing = asyncio.create_task(announce(lambda: node.ready))
    await leave.wait()
    announcing.cancel()
    _log.info("leaving: answering what was asked")
    await node.stop()


def _means(config: NodeConfig) -> str:
    """What this node computes with, in a line.

    >>> from pathlib import Path
    >>> _means(NodeConfig(Path(), "", "", "a", machine="2 of 8 cores, 4.0 of 16.0 GB of memory"))
    'computing with 2 of 8 cores, 4.0 of 16.0 GB of memory: up to 1 thread a batch, no code of models'
    """
    budget = config.budget
    threads = "1 thread" if budget.threads == 1 else f"{budget.threads} threads"
    code = f"models' code in processes of up to {budget.memory_bytes / 2**30:.1f} GB"
    code = code if budget.code else "no code of models"
    return f"computing with {config.machine}: up to {threads} a batch, {code}"
