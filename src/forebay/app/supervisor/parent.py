"""A child that does not outlive its parent, even one that is killed with -9."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have SIGTERM sent to this process when *parent* is gone; at once if it is gone already.

    Only Linux offers this (`man 2 prctl`); elsewhere a supervisor that is killed with -9 leaves its
    children, and the next `up` names the port that they hold.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
