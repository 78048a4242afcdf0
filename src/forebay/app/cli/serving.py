"""deploy, undeploy, deployments, predict."""

from __future__ import annotations

from collections.abc import Iterable

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Talk, talking
from forebay.app.cli.paths import Existing
from forebay.app.cli.rowfiles import rows_in, text_columns
from forebay.client import Predictions
from forebay.client.predictions import cells
from forebay.client.results import Deployment
from forebay.client.rows import Rows
from forebay.core import ModelRef
from forebay.core.errors import NotFound

_WIDE = 2000


class Weights(click.ParamType[dict[int, int]]):
    """Shares of the traffic by version.

    >>> Weights().convert("1=9,2=1", None, None)
    {1: 9, 2: 1}
    """

    name = "weights"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[int, int]:
        """Read `1=9,2=1`."""
        try:
            pairs = [part.split("=") for part in str(value).split(",")]
            return {int(version): int(weight) for version, weight in pairs}
        except ValueError:
            self.fail(f"{value!r} are no weights; write VERSION=WEIGHT, as in 1=9,2=1", param, ctx)


@click.command()
@click.argument("model", metavar="NAME[:V|@ALIAS]")
@click.option("--weights", type=Weights(), metavar="V=W,…", help="Share the traffic: 1=9,2=1.")
@click.option("--batch-rows", type=click.IntRange(1), help="Most rows of one batch.")
@click.option(
    "--batch-wait", type=click.FloatRange(0), help="Seconds a request may wait for company, where that pays."
)
@click.option("--queue-rows", type=click.IntRange(1), help="Most rows that may wait.")
@click.option("--cache-bytes", type=click.IntRange(0), help="Memory for answers to repeated questions.")
@click.option("--pin", is_flag=True, help="Keep it in every node's memory, whatever else wants the room.")
@click.option(
    "--override", metavar="REASON", help="Deploy what the gate refuses, and say why; needs a key that may."
)
@click.option("--wait/--no-wait", default=True, help="Wait until it answers everywhere (the default).")
@click.option("--timeout", type=click.FloatRange(0), default=60.0, show_default=True, help="Seconds to wait.")
@talking
def deploy(
    talk: Talk,
    model: str,
    weights: dict[int, int] | None,
    batch_rows: int | None,
    batch_wait: float | None,
    queue_rows: int | None,
    cache_bytes: int | None,
    pin: bool,
    override: str | None,
    wait: bool,
    timeout: float,
) -> None:
    """Let a name answer with a version: the latest, unless one is named.

    `forebay deploy digits:3` deploys version 3, `forebay deploy digits@champion` whatever the alias
    means now, `forebay deploy digits --weights 1=9,2=1` both, nine calls to one.
    """
    found = talk.hub.deploy(
        model,
        weights=weights,
        batch_rows=batch_rows,
        batch_wait_s=batch_wait,
        queue_rows=queue_rows,
        cache_bytes=cache_bytes,
        pin=pin,
        override=override,
        wait=wait,
        timeout_s=timeout,
        progress=talk.progress(),
    )
    talk.answer(found, lambda: _deployed(talk, found))


def _deployed(talk: Talk, found: Deployment) -> None:
    paper.facts(
        [
            ("deployed", found.model),
            ("versions", _shares(found)),
            ("pinned", "stays in memory" if found.pin else ""),
            ("ready", [share.node for share in found.nodes] if found.ready else "not yet"),
            *(("note", note) for note in found.notes),
        ]
    )
    if found.ready and talk.hub.project == talk.hub.me.project:
        _show_call(talk, found)


def _show_call(talk: Talk, found: Deployment) -> None:
    """A line to paste, with a real row, where the version has any."""
    try:
        sample = talk.hub.sample(found.model, found.targets[0].version)
    except NotFound:
        return
    call = talk.hub.curl(found.model, Rows(sample.word, sample.items[:1]))
    if len(call) < _WIDE:
        paper.line()
        paper.line(call)


def _shares(found: Deployment) -> str:
    if len(found.targets) == 1:
        return str(found.targets[0].version)
    total = sum(target.weight for target in found.targets)
    return ", ".join(f"{target.version} ({target.weight / total:.0%})" for target in found.targets)


@click.command()
@click.argument("model", metavar="NAME")
@talking
def undeploy(talk: Talk, model: str) -> None:
    """Let a name answer nothing any more; its versions stay."""
    talk.hub.undeploy(model)
    talk.answer({"undeployed": model}, lambda: paper.line(f"{model} answers nothing any more"))


@click.command()
@talking
def deployments(talk: Talk) -> None:
    """List what answers."""
    found = talk.hub.deployments()
    rows = [[entry.model, _shares(entry), entry.created_at] for entry in found]
    hint = "Nothing is deployed; `forebay deploy NAME` changes that."
    talk.answer(found, lambda: paper.table(("Model", "Versions", "Since"), rows, empty=hint))


@click.command()
@click.argument("model", metavar="NAME[:V|@ALIAS]")
@click.option(
    "--input",
    "file",
    type=Existing(dash=True),
    metavar="FILE|-",
    help="Rows as .csv, .json, .jsonl or .parquet; - reads CSV or JSON from standard input.",
)
@talking
def predict(talk: Talk, model: str, file: str | None) -> None:
    """Ask a deployed model; without --input, about the real rows that were kept with its version."""
    rows = _sample(talk, model) if file is None else rows_in(file, _texts(talk, model))
    found = talk.hub.predict(model, rows)
    document = {"model": found.model, "version": found.version, "outputs": found.rows}
    talk.answer(document, lambda: _predicted(found))


def _sample(talk: Talk, model: str) -> Rows:
    ref = ModelRef.parse(model)
    if ref.version is None and ref.alias is None:
        ref = ModelRef(ref.model, version=talk.hub.deployment(ref.model).targets[0].version)
    return talk.hub.sample(str(ref))


def _texts(talk: Talk, model: str) -> frozenset[str]:
    """The columns that stay texts however they look; a key that may only predict cannot know."""
    if "read" not in talk.hub.me.permissions:
        return frozenset()
    return text_columns(talk.hub.show(model).signature)


def _predicted(found: Predictions) -> None:
    names = list(dict.fromkeys(name for row in found for name in row))
    rows: Iterable[list[object]] = ([i, *cells(row, names)] for i, row in enumerate(found))
    paper.table(("Row", *(name.capitalize() for name in names)), rows, empty="No answer.")
