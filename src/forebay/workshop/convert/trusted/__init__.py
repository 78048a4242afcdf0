"""The one place that loads what runs code: pickles, with their owner's word, in a child process.

Everything here refuses to work in any other process; `apart` starts one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forebay.core.extras import need
from forebay.workshop.convert.apart import must_be_apart


def load_pickle(path: Path) -> Any:
    """What is in the pickle at *path* (joblib's and cloudpickle's as well); raises whatever its code does."""
    must_be_apart(path)
    need("joblib", "sklearn")
    import joblib  # noqa: PLC0415 (not everybody has it)

    return joblib.load(path)  # it reads the plain ones as well
