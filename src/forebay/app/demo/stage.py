"""Where the story is told: on a terminal, in a log, and, if wanted, in a picture for the README."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forebay.client import NoProgress

_WIDTH = 92
_INDENT = 4


class Step:
    """One step while it happens: what it is at now, and what it has to tell when it is over."""

    def __init__(self, stage: Stage, title: str) -> None:
        self._stage = stage
        self._title = title
        self.told: list[tuple[RenderableType, RenderableType]] = []

    def at(self, text: str) -> None:
        """What is going on now."""
        self._stage.whisper(f"{self._title}: {text}")

    def tell(self, text: str) -> None:
        """A line worth keeping."""
        line = Text.from_markup(text)
        self.told.append((line, line))

    def show(self, picture: RenderableType, plain: RenderableType) -> None:
        """Something drawn, and the same for where there are no colours."""
        self.told.append((picture, plain))


class Whisper(NoProgress):
    """The client's progress, whispered on stage."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def step(self, text: str) -> None:
        """Something new begins."""
        self._step.at(text)

    def candidate(self, told: Mapping[str, Any]) -> None:
        """Another one was tried."""
        self._step.at(str(told.get("text", "")))


class Stage:
    """Prints a story, step by step."""

    def __init__(self, console: Console, picture: Path | None = None) -> None:
        self._console = console
        self._picture = picture
        self._film = Console(
            file=io.StringIO(),
            record=True,
            width=_WIDTH,
            force_terminal=True,
            color_system="truecolor",
            legacy_windows=False,
            _environ={},
        )
        self._status = console.status("")

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Do one step: its title and time, and then what it told."""
        step = Step(self, title)
        began_s = time.monotonic()
        self._status.update(f"{title} …")
        with self._status:
            yield step
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right", style="dim")
        head.add_row(Text(f"✓ {title}", style="bold green"), f"{time.monotonic() - began_s:.1f} s")
        self.print(head)
        for picture, plain in step.told:
            self.print(*(Padding(part, (0, 0, 0, _INDENT), expand=False) for part in (picture, plain)))
        self.print("")

    def whisper(self, text: str) -> None:
        """What is going on now, in place of what was said before; one line, for two are not erased well."""
        room = self._console.width - 4
        self._status.update(text if len(text) <= room else f"{text[: room - 1]}…")

    def print(self, part: RenderableType, plain: RenderableType | None = None) -> None:
        """On the terminal and on the film; *plain* on a terminal without colours."""
        colours = self._console.color_system in ("256", "truecolor")
        shown = part if colours or plain is None else plain
        self._console.print(shown, width=min(self._console.width, _WIDTH), highlight=False)
        self._film.print(part, highlight=False)

    def title(self, name: str, about: str) -> None:
        """How it begins."""
        self.print("")
        self.print(Text.assemble((name, "bold"), "  ", (about, "dim")))
        self.print("")

    def end(self, about: str, command: str) -> None:
        """How it ends: with a command to copy, broken only where a shell may break it."""
        self.print(Text.assemble(("Your turn", "bold"), "  ", (about, "dim")))
        self.print("")
        lines = command.replace(" -H ", " \\\n  -H ").replace(" -d ", " \\\n  -d ")
        self._console.out(lines, style="cyan", highlight=False)
        for line in lines.split("\n"):
            for start in range(0, len(line), _WIDTH):
                self._film.print(Text(line[start : start + _WIDTH], style="cyan", no_wrap=True))

    def close(self) -> None:
        """Develop the film."""
        if self._picture is not None:
            self._film.save_svg(str(self._picture), title="forebay demo", unique_id="forebay-demo")
