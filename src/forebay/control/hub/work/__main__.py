"""One step of a job, in a process of its own: `python -m forebay.control.hub.work KIND STEP FOLDER`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from forebay.control.hub.work.leash import leash
from forebay.core.errors import ForebayError

_NICE = 10
_FULL = (errno.ENOSPC, errno.EDQUOT)


def main(arguments: list[str]) -> int:
    """Do the step; 0 when its output is complete, 1 when it was told why not."""
    kind, step, place = arguments
    leash()
    tell = _teller()
    os.nice(_NICE)  # requests go first
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait leave the cores to others
    folder = Path(place)
    os.chdir(folder)
    try:
        _work(kind, step)(folder, folder / f"{step}.part", tell)
    except ForebayError as error:
        tell({"kind": "error", "text": str(error)})
        return 1
    except MemoryError:
        tell({"kind": "error", "text": f"the step {step!r} needs more memory than this machine has"})
        return 1
    except OSError as error:
        if error.errno not in _FULL:
            raise
        tell({"kind": "error", "text": "the hub's disk is full; free some space and submit the job again"})
        return 1
    (folder / f"{step}.part").rename(folder / step)
    return 0


def _work(kind: str, step: str) -> Callable[[Path, Path, Callable[[Mapping[str, Any]], None]], None]:
    from forebay.control.hub.work import compressing, publishing, script, training  # noqa: PLC0415 (heavy: the leash comes first)

    return {
        ("train", "prepare"): training.prepare_data,
        ("train", "choose"): training.choose_estimator,
        ("train", "build"): training.build_artifact,
        ("publish", "verify"): publishing.verify_artifact,
        ("compress", "search"): compressing.search_smaller,
        ("script", "run"): script.run_script,
    }[kind, step]


def _teller() -> Callable[[Mapping[str, Any]], None]:
    """Events to what was standard output; whatever else is printed goes to the log."""
    events = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(event: Mapping[str, Any]) -> None:
        os.write(events, msgspec.json.encode(event) + b"\n")

    return tell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
