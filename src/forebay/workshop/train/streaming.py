"""Rows that are more than memory holds, on their way past an estimator, in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from forebay.core import Array
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.progress import Reporter

_BEGUN, _SHARE = 0.1, 0.5


class Stream:
    """The rows of *prepared* that lie on disk; it ends when *allotted_s* are over, and says so."""

    def __init__(self, prepared: Prepared, report: Reporter, allotted_s: float) -> None:
        self._prepared, self._report = prepared, report
        self._until = time.monotonic() + allotted_s

    def parts(self) -> Iterator[tuple[Any, Array]]:
        """Some rows at a time."""
        whole, seen = self._prepared.facts.rows_streamed, 0
        for rows, target in self._prepared.streamed():
            if time.monotonic() > self._until:
                self._report.log(f"the time budget ended the stream after {seen} of {whole} rows")
                return
            yield rows, target
            seen += len(target)
            self._report.progress(
                _BEGUN + _SHARE * seen / max(1, whole), f"{seen} of {whole} streamed rows are learnt"
            )
        self._report.log(f"{seen} of {whole} rows were learnt in a stream")
