"""Where and on what a measurement was taken."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from bench.words import ROOT

_GENERATORS = ("wrk", "h2load")
_TELLING = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX", "LD_PRELOAD")


def facts() -> dict[str, str]:
    """Processor, cores, memory, kernel, Python, and what in the environment changes speed."""
    found = {
        "processor": processor_in(Path("/proc/cpuinfo").read_text()),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    generators = {name: _first_word_with_digits(name) for name in _GENERATORS if shutil.which(name)}
    return found | generators | {name: os.environ[name] for name in _TELLING if name in os.environ}


def _first_word_with_digits(program: str) -> str:
    """The version that *program* gives itself; wrk calls that a failure."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    words = (said.stdout + said.stderr).split()
    return next((word for word in words[1:] if any(map(str.isdigit, word))), "of unknown version")


def processor_in(cpuinfo: str) -> str:
    """The name, family and model of the processor in /proc/cpuinfo; names alone are often vague."""
    pairs = (line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    said = {key.strip(): value.strip() for key, value in pairs}
    numbers = [
        f"{word} {said[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in said
    ]
    return ", ".join([said.get("model name", platform.machine()), *numbers])


def commit() -> str:
    """The commit that is measured, with `+` when files differ from it."""
    head = _git("rev-parse", "--short=10", "HEAD") or "no commit"
    return head + ("+" if _git("status", "--porcelain", "--", "src") else "")


def _git(*words: str) -> str:
    """What git says; nothing where this is no checkout."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()
