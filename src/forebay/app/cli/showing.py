"""demo."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path

import click
import msgspec


@click.command()
@click.option("--keep", is_flag=True, help="Leave hub and node running at the end, until Ctrl-C.")
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Also draw what the terminal showed.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
def demo(keep: bool, picture: Path | None, as_json: bool) -> None:
    """See the whole of it in two minutes: data in, a metered prediction out.

    Starts a hub and a node in a temporary home on free ports, and removes both at the end. With
    --json the story goes to standard error.
    """
    from rich.console import Console  # noqa: PLC0415 (heavy, and so is what follows)

    from forebay.app.demo import Stage, own_forebay, tell  # noqa: PLC0415

    stage = Stage(Console(stderr=as_json), picture)
    stage.title("Forebay", "data in, a metered prediction out")
    with own_forebay(stage) as hub:
        ending = tell(stage, hub)
        if as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(ending), indent=2))
        stage.end("it answers until Ctrl-C" if keep else "with --keep it goes on answering", ending.curl)
        stage.close()
        if keep:
            sys.stdout.flush()
            with suppress(KeyboardInterrupt):
                signal.pause()
