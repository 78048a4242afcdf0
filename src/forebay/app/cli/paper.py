"""What people read: tables and facts; drawn on a terminal, plain when piped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

from forebay.client.shown import text_of


def terminal() -> bool:
    """Whether somebody looks at standard output."""
    return sys.stdout.isatty()


def line(text: str = "") -> None:
    """One line."""
    click.echo(text)


def table(names: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table; the sentence *empty* (to standard error) when it has no rows."""
    cells = [[text_of(cell) for cell in row] for row in rows]
    if not cells:
        click.echo(empty, err=True)
    elif terminal():
        from forebay.app.cli.drawn import draw_table  # noqa: PLC0415 (heavy, and of no use in a pipe)

        draw_table(names, cells)
    else:
        _plain([[name.lower().replace(" ", "_") for name in names], *cells])


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; what is empty is left out."""
    cells = [[name, text_of(value)] for name, value in pairs if value not in (None, "", [], {}, ())]
    if terminal():
        from forebay.app.cli.drawn import draw_facts  # noqa: PLC0415 (heavy, and of no use in a pipe)

        draw_facts(cells)
    else:
        _plain(cells)


def markdown(text: str) -> None:
    """A card."""
    if terminal():
        from forebay.app.cli.drawn import draw_markdown  # noqa: PLC0415 (heavy, and of no use in a pipe)

        draw_markdown(text)
    else:
        click.echo(text)


def _plain(rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
