"""A virtual environment for each peer, made from its pinned requirements and kept."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.words import CACHE, HERE, Missing

_LAST_LINES = 3


def python_of(name: str) -> Path:
    """The interpreter of the environment *name*, which is made if need be; raises `Missing`."""
    folder = CACHE / "venvs" / name
    python, stamp = folder / "bin" / "python", folder / "made-from"
    wanted = _wish(name)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)], name)
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements(name))], name)
    stamp.write_text(wanted)
    return python


def requirements(name: str) -> Path:
    """The pinned requirements of the environment *name*."""
    return HERE / "requirements" / f"{name}.txt"


def version_of(name: str, package: str) -> str:
    """The version that *package* is pinned to in the environment *name*."""
    for line in requirements(name).read_text().splitlines():
        found, _, version = line.partition("==")
        if found.lower() == package.lower():
            return version
    raise Missing(f"bench/requirements/{name}.txt does not pin {package}")


def _wish(name: str) -> str:
    return f"{sys.version} {hashlib.sha256(requirements(name).read_bytes()).hexdigest()}"


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
        raise Missing(f"its packages cannot be installed here ({name}): {words[-300:]}")
