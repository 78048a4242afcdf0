"""publish."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from forebay.app.cli import paper
from forebay.app.cli.catalogue import evidence
from forebay.app.cli.frame import Talk, talking
from forebay.app.cli.paths import Existing
from forebay.client.results import Version
from forebay.core.errors import Malformed


@click.command()
@click.argument("source", type=Existing(folders=True), metavar="FILE|FOLDER")
@click.option("--name", required=True, metavar="NAME", help="The model's name.")
@click.option(
    "--sample",
    type=Existing(),
    metavar="FILE",
    help="Real rows to prove the conversion with (.csv, .parquet, .json, .jsonl, .npy, .npz).",
)
@click.option(
    "--forget-sample",
    is_flag=True,
    help="Keep no row of the sample with the version, not even as an example.",
)
@click.option("--column", "columns", multiple=True, metavar="NAME", help="A column's name; one for each.")
@click.option("--label", "labels", multiple=True, metavar="NAME", help="A class's name; one for each.")
@click.option(
    "--class", "into", metavar="MODULE:CLASS", help="The PyTorch module that a file of weights belongs to."
)
@click.option("--tolerance", type=float, metavar="X", help="How far answers may differ.  [default: 0.0001]")
@click.option(
    "--trust", is_flag=True, help="Load a pickle, which runs whatever is inside, in a child process."
)
@click.option(
    "--entry",
    metavar="MODULE:NAME",
    help="Serve FOLDER as code: this function of it, or this class with `predict`.",
)
@click.option(
    "--requirement",
    "requirements",
    multiple=True,
    metavar="PACKAGE==VERSION",
    help="What the code needs beside what it is seen to import.",
)
@click.option(
    "--card",
    type=Existing(),
    metavar="FILE",
    help="What people should know, in Markdown.",
)
@click.option("--lineage", multiple=True, metavar="NAME=VALUE", help="Where it comes from; may be repeated.")
@talking
def publish(
    talk: Talk,
    source: Path,
    name: str,
    sample: Path | None,
    forget_sample: bool,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    into: str | None,
    tolerance: float | None,
    trust: bool,
    entry: str | None,
    requirements: tuple[str, ...],
    card: Path | None,
    lineage: tuple[str, ...],
) -> None:
    """Publish FILE or FOLDER: a model as its framework saved it, or what forebay.convert wrote.

    It is converted here, on this machine, and proved to answer like the original. A model with code
    inside (a pickle) is refused, and with --trust converted in a child process.
    """
    version = talk.hub.publish(
        source,
        name,
        sample=sample,
        columns=columns or None,
        labels=labels or None,
        into=None if into is None else _named(into),
        tolerance=tolerance,
        keep_sample=False if forget_sample else None,
        trust=trust or None,
        entry=entry,
        requirements=requirements or None,
        card=card,
        lineage=dict(map(_pair, lineage)),
        progress=talk.progress(),
    )
    talk.answer(version, lambda: made(version))


def _named(place: str) -> Any:
    """The class that *place* names, as in `nets:Digits`, also from a file in this folder."""
    module, _, name = place.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise Malformed(f"there is no {place!r} ({error}); write it like --class nets:Digits") from error
    finally:
        sys.path.remove(str(Path.cwd()))


def made(version: Version) -> None:
    """Say what was published, and what may be done with it next."""
    paper.facts([("published", str(version)), ("task", version.task), *evidence(version)])
    click.echo(f"Next: forebay deploy {version}", err=True)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Malformed(f"{text!r} is no NAME=VALUE; write it like --lineage dataset=iris")
    return name, value
