"""A package of somebody else's that adds a backend, as pip would have installed it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

_SOURCE = """
from forebay.serving.runtime.onnx import open_onnx

threads = []


def open_counting(folder, info, budget):
    threads.append(budget.threads)
    return open_onnx(folder, info, budget)
"""


def install_counting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Put the backend `counting` on the path: ONNX Runtime, and a list of the threads it was opened with."""
    named = folder.name.replace("-", "_")
    module = f"counting_{named}"
    (folder / f"{module}.py").write_text(_SOURCE)
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[forebay.backends]\ncounting = {module}:open_counting\n")
    monkeypatch.syspath_prepend(folder)
    threads: list[int] = import_module(module).threads
    return threads
