"""limits."""

from __future__ import annotations

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Plural, Talk, talking


@click.group(cls=Plural)
def limits() -> None:
    """Say what calls may take."""


@limits.command("list")
@talking
def list_limits(talk: Talk) -> None:
    """List the limits."""
    found = talk.hub.limits()
    rows = [
        [
            one.id,
            str(one),
            one.model or "all",
            one.key_id or "all",
            "operator" if one.by_platform else "project",
        ]
        for one in found
    ]
    names = ("Id", "Limit", "Model", "Key", "Set by")
    talk.answer(found, lambda: paper.table(names, rows, empty="Nothing is limited."))


@limits.command("set")
@click.argument("limit", metavar="UNIT=AMOUNT/PERIOD")
@click.option("--model", default="", metavar="NAME", help="For calls of this model alone.")
@click.option("--key", default="", metavar="ID", help="For calls by this key alone.")
@talking
def set_limit(talk: Talk, limit: str, model: str, key: str) -> None:
    """Let calls take at most so much: request=100/minute, row=5000/day, byte=1000000/second, concurrent=8.

    It holds on every node within a second, over all of them together. What stood for the same unit,
    period, model and key is replaced.
    """
    found = talk.hub.limits.set(limit, model=model, key=key)
    what = " ".join([*([f"the model {model}"] if model else []), *([f"the key {key}"] if key else [])])
    talk.answer(
        found, lambda: paper.line(f"limit {found.id}: {found} for {what or f'all of {found.project}'}")
    )


@limits.command("remove")
@click.argument("limit_id", metavar="ID")
@talking
def remove_limit(talk: Talk, limit_id: str) -> None:
    """Limit this no more."""
    talk.hub.limits.remove(limit_id)
    talk.answer({"id": limit_id, "removed": True}, lambda: paper.line(f"{limit_id} holds no more"))
