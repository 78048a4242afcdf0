"""Progress on a terminal. Loaded only there, because rich is not small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_HEAD = f"{'candidate':<34} {'alone':>6} {'in 32':>6} {'size':>6}  what of it"


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
        self._rows = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def step(self, text: str) -> None:
        """Something new begins."""
        self._bar.update(self._task, description=text)

    def candidate(self, told: Mapping[str, Any]) -> None:
        """A row of the table that grows above the bar; what there is nothing to do for is left out."""
        if told.get("outcome") == "inapplicable":
            return
        if not self._rows:
            self._bar.console.print(_HEAD, style="bold", highlight=False)
        self._rows += 1
        self._bar.console.print(_row(told), highlight=False, markup=False, overflow="ellipsis", no_wrap=True)

    def at(self, fraction: float) -> None:
        """How much of the whole is done, 0 to 1."""
        self._bar.update(self._task, total=1.0, completed=fraction)


def _row(told: Mapping[str, Any]) -> str:
    """Shares of the original's time and size, and how the promises stand."""
    alone, size = told.get("latency"), told.get("size")
    together = 1 / told["throughput"] if told.get("throughput") else None
    shares = " ".join(f"{'' if share is None else f'{share:.2f}':>6}" for share in (alone, together, size))
    verdict = told.get("verdict") or f"failed: {told.get('reason', '')}"
    return f"{told.get('name', ''):<34} {shares}  {verdict}"
