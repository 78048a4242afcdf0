"""A Forebay of its own for the demo: in a temporary home, on free ports, gone when it is over."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType

from forebay.app.demo.stage import Stage
from forebay.app.settings import Settings
from forebay.app.supervisor import Home, Running, start_detached, stop
from forebay.app.wiring import ADMIN_KEY, environment_for, own_command
from forebay.client import Hub, connect


class Stopped(KeyboardInterrupt):
    """Somebody sent a signal: leave, and tidy up on the way."""

    def __init__(self) -> None:
        super().__init__("stopped; everything that the demo made is gone")


@contextmanager
def own_forebay(stage: Stage) -> Iterator[Hub]:
    """Start a hub and a node; stop them and remove all that they kept, however this ends."""
    folder = Path(mkdtemp(prefix="forebay-demo-"))
    home = Home(folder)
    with _signals_unwind():
        try:
            running = _start(home, stage)
            with connect(running.hub_url, (folder / ADMIN_KEY).read_text("utf-8"), "default") as hub:
                yield hub
        finally:
            with _signals_wait():
                stop(home, lambda _text: None)
                shutil.rmtree(folder, ignore_errors=True)


def _start(home: Home, stage: Stage) -> Running:
    with stage.step("Start a hub and a node") as step:
        settings = Settings.load({}, home=home.folder, port=0, grpc_port=0, hub_port=0, node_name="node-1")
        running = start_detached(
            home, own_command("up", "--parent", str(os.getpid())), environment_for(settings)
        )
        step.tell(f"hub {running.hub_url}, node {running.node_url}")
        step.tell(f"home {home.folder}, gone when this is over")
        return running


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """SIGTERM and SIGHUP leave the way Ctrl-C does."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """A second Ctrl-C does not keep us from tidying up."""
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
