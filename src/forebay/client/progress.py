"""Where slow work is seen: a line that is written over, lines in a log, or nowhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TextIO


class Progress(Protocol):
    """What slow work says about itself."""

    def step(self, text: str) -> None:
        """Something new begins."""

    def at(self, fraction: float) -> None:
        """How much of the whole is done, 0 to 1."""

    def candidate(self, told: Mapping[str, Any]) -> None:
        """A compression has tried one: its `name`, `outcome`, `text`, and what share of the costs is left."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class NoProgress:
    """For programs: nothing is shown."""

    def step(self, text: str) -> None:
        pass

    def at(self, fraction: float) -> None:
        pass

    def candidate(self, told: Mapping[str, Any]) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


class LineProgress(NoProgress):
    """For logs: one line a step."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def step(self, text: str) -> None:
        if text != self._last:
            self._last = text
            print(text, file=self._stream, flush=True)

    def candidate(self, told: Mapping[str, Any]) -> None:
        self.step(str(told.get("text", "")))


class InPlaceProgress(NoProgress):
    """For notebooks and terminals: one line that is written over, and gone when it is over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._width = 0

    def step(self, text: str) -> None:
        self._text = text
        self._write(text)

    def at(self, fraction: float) -> None:
        self._write(f"{self._text} {fraction:.0%}")

    def __exit__(self, *_error: object) -> None:
        self._write("")
        self._stream.write("\r")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text.ljust(self._width)}")
        self._stream.flush()
        self._width = len(text)


def progress_for(wish: bool | Progress | None) -> Progress:
    """*wish* itself; True for a line that is written over; None for one wherever somebody can see it."""
    if wish is None:
        wish = sys.stderr.isatty() or "ipykernel" in sys.modules
    if isinstance(wish, bool):
        return InPlaceProgress(sys.stderr) if wish else NoProgress()
    return wish
