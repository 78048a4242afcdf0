"""What others do with a supervisor that runs on its own: start it, stop it, look at it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from forebay.app.supervisor.home import Home, Part, Running
from forebay.app.supervisor.probe import answers_ok
from forebay.core.errors import Conflict, Late, NotReady

_LOOK_EVERY_S = 0.05
_READY_WITHIN_S = 120.0
_LEAVES_WITHIN_S = 10.0


class Status(msgspec.Struct, frozen=True):
    """What runs in a home, asked just now."""

    home: str
    running: bool
    ready: bool = False
    pid: int | None = None
    started_at: str | None = None
    release: str | None = None
    hub_url: str | None = None
    node_url: str | None = None
    grpc_url: str | None = None
    parts: dict[str, Part] = {}
    trouble: str = ""


def start_detached(home: Home, command: Sequence[str], environ: Mapping[str, str]) -> Running:
    """Start *command*, a supervisor of *home*, in a session of its own; returns once all of it answers.

    Raises `Conflict` when it ends at once, `NotReady` when a part of it does not stay up: then nothing is
    left running.
    """
    home.prepare()
    log = home.logs / "up.log"
    with log.open("ab") as output:
        said_before = output.tell()
        process = subprocess.Popen(  # noqa: S603 (our own command)
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        running = _until_ready(home, process)
    except BaseException:  # Ctrl-C included: who asked for it is not left with half of it
        process.terminate()
        process.wait(_READY_WITHIN_S)
        raise
    if running is None:
        raise Conflict(_last_line(log, said_before) or f"Forebay ended at once; {log} may say why")
    return running


def stop(home: Home, say: Callable[[str], None]) -> bool:
    """Let the supervisor of *home* finish and leave; whether there was one. Raises `Late` if it does not."""
    running = home.read()
    if running is None:
        return False
    say(f"stopping process {running.pid}: it finishes what it accepted")
    os.kill(running.pid, signal.SIGTERM)
    within_s = running.stops_within_s + _LEAVES_WITHIN_S
    give_up_at = time.monotonic() + within_s
    while home.is_held():
        if time.monotonic() > give_up_at:
            raise Late(
                f"process {running.pid} is still there after {within_s:g} s; look into {home.logs}, "
                f"and end it with: kill -9 {running.pid}"
            )
        time.sleep(_LOOK_EVERY_S)
    return True


def status(home: Home) -> Status:
    """What runs in *home*; every part is asked anew whether it answers."""
    running = home.read()
    if running is None:
        return Status(str(home.folder), running=False)
    parts = asyncio.run(_asked(running))
    return Status(
        home=str(home.folder),
        running=True,
        ready=all(part.ready for part in parts.values()),
        pid=running.pid,
        started_at=running.started_at,
        release=running.release,
        hub_url=running.hub_url,
        node_url=running.node_url,
        grpc_url=running.grpc_url,
        parts=parts,
        trouble=running.trouble,
    )


async def _asked(running: Running) -> dict[str, Part]:
    hub, node = await asyncio.gather(
        answers_ok(f"{running.hub_url}/api/v1/health"), answers_ok(f"{running.node_url}/v2/health/ready")
    )
    return {
        name: msgspec.structs.replace(part, ready=part.ready and (hub if name == "hub" else node))
        for name, part in running.parts.items()
    }


def _until_ready(home: Home, process: subprocess.Popen[bytes]) -> Running | None:
    """What runs, once it answers; None when the process has ended instead."""
    give_up_at = time.monotonic() + _READY_WITHIN_S
    while process.poll() is None:
        running = home.read()
        if running is not None and running.pid == process.pid:
            if running.ready:
                return running
            if running.trouble:
                raise NotReady(running.trouble)
        if time.monotonic() > give_up_at:
            raise NotReady(f"Forebay is not ready after {_READY_WITHIN_S:g} s; look into {home.logs}")
        time.sleep(_LOOK_EVERY_S)
    return None


def _last_line(log: Path, since: int) -> str:
    """What a process that ended said last, without the name that commands put before their errors."""
    with log.open("rb") as file:
        file.seek(since)
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("forebay: ") if lines else ""
