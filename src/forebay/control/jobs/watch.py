"""One step, looked after while it works."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from forebay.control.jobs.book import Book
from forebay.control.jobs.kinds import JobKind, Step
from forebay.control.jobs.patience import Patience

_NOTE_S = 0.5
Outcome = dict[str, Any]
"""What a step came to: `state` (`ok`, `failed`, `cancelled`), and with it `error` or `result`."""


class Ended(Exception):
    """A step has to end now, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome["state"])
        self.outcome = outcome


def failed(error: str) -> Outcome:
    """The outcome of a step that failed; *error* is a sentence."""
    return {"state": "failed", "error": error}


class Watch:
    """Writes down what a step tells; raises `Ended` when it is cancelled or late, `Stopping` with the hub."""

    def __init__(
        self,
        book: Book,
        patience: Patience,
        job_id: str,
        kind: JobKind,
        step: Step,
        spent_s: float,
        limit_s: float,
    ) -> None:
        self._book, self._patience, self._job_id = book, patience, job_id
        self._kind, self._step = kind, step
        self._spent_s, self._limit_s = spent_s, limit_s
        self._since = self._noted = time.monotonic()
        self._waiting: list[Mapping[str, Any]] = []
        self._progress: float | None = None
        self.error: str | None = None

    def tell(self, event: Mapping[str, Any]) -> None:
        """One event of a step in the hub."""
        self.look([event])

    def look(self, events: list[Mapping[str, Any]]) -> None:
        """Take *events* (maybe none); raises what ends the step."""
        self._patience.check()
        for event in events:
            self._take(event)
        if self._waiting or time.monotonic() - self._noted >= _NOTE_S:
            self.flush()
        if self._spent() > self._limit_s and not self._step.final:
            raise Ended(
                failed(
                    f"the job worked longer than its {self._limit_s:g} s; give it less to do, or more time"
                )
            )

    def flush(self) -> None:
        """Write down what waits; raises when the job shall be cancelled."""
        events, self._waiting, self._noted = self._waiting, [], time.monotonic()
        spent_s = self._spent()
        cancel = self._patience.until_done(
            lambda: self._book.note(self._job_id, events, self._progress, spent_s)
        )
        if cancel and not self._step.final:
            raise Ended({"state": "cancelled"})

    def _take(self, event: Mapping[str, Any]) -> None:
        if event["kind"] == "error":
            self.error = str(event.get("text"))
            return
        fraction = event.get("fraction")
        if event["kind"] == "progress" and isinstance(fraction, int | float):
            self._progress = self._kind.progress(self._step.name, fraction)
            event = {**event, "progress": round(self._progress, 4)}
        self._waiting.append(event)

    def _spent(self) -> float:
        return self._spent_s + time.monotonic() - self._since
