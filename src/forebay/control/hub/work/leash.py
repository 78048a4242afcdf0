"""A child that does not outlive its hub."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def leash() -> None:
    """Die, with the whole process group, as soon as the hub is gone.

    Standard input is a pipe that the hub holds and never writes to: it ends with the hub, whatever
    killed it. Linux kills a child by itself, even one that is deep in native code.
    """
    die_with_parent()
    threading.Thread(target=_watch, name="leash", daemon=True).start()


def die_with_parent() -> None:
    """Let Linux kill this process as soon as the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)
