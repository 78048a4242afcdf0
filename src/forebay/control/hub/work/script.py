"""A script job: somebody's own training code, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from forebay.control.hub.work.environment import python_for
from forebay.control.hub.work.leash import die_with_parent
from forebay.control.hub.work.publishing import EVIDENCE
from forebay.control.hub.work.requests import ScriptRequest, read_request
from forebay.control.jobs.folder import JobFolder
from forebay.core.errors import Malformed, Refused
from forebay.core.runs import PUBLISHED, RUN_EVENTS, RUN_FILE, RUN_FOLDER, RunSpec
from forebay.workshop.convert import verify
from forebay.workshop.train import Listener

_KEPT = "kept"
_LONGEST_LINE = 1 << 16
_PATIENCE_S = 2.0
_EVENTS: Mapping[Any, Mapping[str, Any]] = {
    "metric": {"name": str, "value": int | float},
    "progress": {"fraction": int | float},
    "log": {"text": str},
}


def run_script(folder: Path, output: Path, tell: Listener) -> None:
    """Start the script and wait for its end. Its checkpoints survive a `kill -9` in the job's own folder."""
    request = read_request(ScriptRequest, folder)
    script = folder / "fetch" / request.script
    python = python_for(script, folder / "environment", tell)
    kept = folder / _KEPT
    kept.mkdir(exist_ok=True)
    spec = RunSpec(request.name, request.parameters, str(kept))
    (output / RUN_FILE).write_bytes(msgspec.json.encode(spec))
    tell({"kind": "progress", "step": "run", "fraction": 0.0, "text": f"running {request.script}"})
    code = _wait([str(python), "-u", str(script), *request.arguments], script.parent, output, tell)
    if code != 0:
        tail = JobFolder(folder).tail()
        raise Refused(f"{request.script} ended with exit code {code}; the last lines of its log: {tail}")
    if (output / PUBLISHED).is_dir():
        _, evidence = verify(output / PUBLISHED)
        (output / EVIDENCE).write_bytes(msgspec.json.encode(evidence))


def _wait(command: list[str], place: Path, output: Path, tell: Listener) -> int:
    """The script's exit code. It is of our process group, so whoever ends the job ends it too."""
    reading, writing = os.pipe()
    environ = os.environ | {RUN_FOLDER: str(output), RUN_EVENTS: str(writing)}
    with open(reading, "rb") as events:  # noqa: PTH123 (a descriptor, not a path)
        try:
            process = subprocess.Popen(  # noqa: S603 (running it is what was asked for, and allowed)
                command,
                cwd=place,
                env=environ,
                stdin=subprocess.DEVNULL,
                pass_fds=[writing],
                preexec_fn=die_with_parent,  # noqa: PLW1509 (one system call, which no thread can hold up)
            )
        finally:
            os.close(writing)
        relay = threading.Thread(target=_relay, args=(events, tell), daemon=True)
        relay.start()
        code = process.wait()
        relay.join(_PATIENCE_S)  # a process that it left behind may hold the pipe; it ends with the job
        return code


def _relay(events: Any, tell: Listener) -> None:
    while line := events.readline(_LONGEST_LINE):
        try:
            tell(_checked(msgspec.json.decode(line, type=dict[str, Any])))
        except (msgspec.DecodeError, Malformed):
            tell({"kind": "log", "step": "run", "text": "the script told something that is no event"})


def _checked(event: Mapping[str, Any]) -> dict[str, Any]:
    """What a script may say: progress, logs and metrics, of its own step."""
    needed = _EVENTS.get(event.get("kind"))
    if needed is None or not all(isinstance(event.get(word), kind) for word, kind in needed.items()):
        raise Malformed("a script tells metrics, progress and logs")
    return {**event, "step": "run"}
