"""Generators as processes, and whether they are here at all."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from bench.words import Missing

_GRACE_S = 30.0


def run(command: Sequence[str], seconds: float) -> str:
    """What *command* prints; it has *seconds* and some grace. Raises `Missing` when it fails."""
    need(command[0])
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + _GRACE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{command[0]} did not end {_GRACE_S:g} s after its time") from error
    if done.returncode:
        raise Missing(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def need(program: str) -> None:
    """Raise `Missing` unless *program* is installed."""
    if shutil.which(program) is None:
        raise Missing(
            f"{program} is not installed; scripts/install-drivers installs it from Debian's packages"
        )
