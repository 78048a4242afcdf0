"""Tables and cards on a terminal. Loaded only there: rich is not small. It honours NO_COLOR."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text


def draw_table(names: Sequence[str], rows: list[list[str]]) -> None:
    """Aligned columns under a rule; numbers to the right."""
    grid = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for i, name in enumerate(names):
        numeric = all(_is_number(row[i]) for row in rows)
        grid.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    Console().print(grid)


def draw_facts(pairs: list[list[str]]) -> None:
    """Names in one column, values in the other."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, Text(value))
    Console().print(grid)


def draw_markdown(text: str) -> None:
    """A card as its author meant it."""
    Console(width=min(Console().width, 100)).print(Markdown(text))


def _is_number(cell: str) -> bool:
    return not cell or cell.replace(".", "", 1).replace(",", "").lstrip("-").isdigit()
