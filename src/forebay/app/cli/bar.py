"""Progress on a terminal. Loaded only there, because rich is not small."""

from __future__ import annotations

from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class BarProgress:
    """The step that runs, a bar and the time; nothing remains when it is over."""

    def __init__(self, stream: TextIO) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=Console(file=stream), transient=True)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def step(self, text: str) -> None:
        """Something new begins."""
        self._bar.update(self._task, description=text)

    def at(self, fraction: float) -> None:
        """How much of the whole is done, 0 to 1."""
        self._bar.update(self._task, total=1.0, completed=fraction)
