"""A child of a toy job: `python toy_child.py STEP FOLDER`."""

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

from forebay.control.hub.work.leash import leash


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _note(what: str, pid: int) -> None:
    folder = Path(sys.argv[2])
    with (folder.parent / f"starts-{folder.name}.txt").open("a") as file:
        file.write(f"{what} {pid}\n")


def _say(**event: Any) -> None:
    _line(json.dumps(event))


def _crash() -> None:
    sys.stderr.write("about to crash\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGSEGV)


def _refuse() -> None:
    _say(kind="error", text="the toy is broken; buy another one")
    sys.exit(1)


def _stubborn() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    _note("helper", helper.pid)
    _say(kind="log", text="stubborn")
    time.sleep(60)


def _leak() -> None:
    seen = [name for name in ("FOREBAY_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD") if name in os.environ]
    _say(kind="log", text=f"secrets: {seen}")


def _babble() -> None:
    sys.stdout.write("this is no event\n")
    for number in range(50):
        _say(kind="metric", name="n", value=float("nan") if number == 7 else float(number))


def _quit() -> None:
    sys.stderr.write("line one\nline two\n")
    sys.exit(3)


_BEHAVIOURS: dict[str, Callable[[], None]] = {
    "crash": _crash,
    "quit": _quit,
    "refuse": _refuse,
    "stubborn": _stubborn,
    "leak": _leak,
    "babble": _babble,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "rest": lambda: time.sleep(3),
    "nothing": lambda: sys.exit(0),
    "sleep": lambda: time.sleep(60),
    "blink": lambda: time.sleep(0.5),
}


def _child(step: str, folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    leash()
    _note(step, os.getpid())
    _say(kind="progress", step=step, fraction=0.5, text=f"{step} is half done")
    behaviour = request.get(step, "")
    resting = folder.parent / f"rested-{folder.name}"
    if behaviour.endswith(" once"):
        behaviour = "" if resting.exists() else behaviour.removesuffix(" once")
        resting.touch()
    _BEHAVIOURS.get(behaviour, lambda: None)()
    assert (folder / "fetch" / "data.txt").read_text() == "data"
    (folder / f"{step}.part" / "done.txt").write_text(step)
    (folder / f"{step}.part").rename(folder / step)


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
