"""models, versions, show, alias, retire."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Talk, talking
from forebay.client.evidence import line_of
from forebay.client.results import Alias, Version
from forebay.client.shown import bytes_text, gist_of, text_of
from forebay.core import ModelRef, Signature
from forebay.core.errors import Malformed


@click.command()
@talking
def models(talk: Talk) -> None:
    """List the models."""
    found = talk.hub.models()
    rows = [
        [model.name, model.latest, model.versions, model.task, {a.name: a.version for a in model.aliases}]
        for model in found
    ]
    names = ("Model", "Latest", "Versions", "Task", "Aliases")
    hint = "There is no model yet; `forebay train` or `forebay publish` makes one."
    talk.answer(found, lambda: paper.table(names, rows, empty=hint))


@click.command()
@click.argument("model")
@talking
def versions(talk: Talk, model: str) -> None:
    """List the versions of MODEL."""
    found = talk.hub.versions(model)
    rows = [
        [
            entry.version,
            entry.state,
            bytes_text(entry.size_bytes),
            entry.aliases,
            entry.created_at,
            entry.digest[:12],
        ]
        for entry in found
    ]
    names = ("Version", "State", "Size", "Aliases", "Created", "Digest")
    talk.answer(found, lambda: paper.table(names, rows, empty=f"{model} has no version yet."))


@click.command()
@click.argument("model", metavar="NAME[:V|@ALIAS]")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write the report of the training or compression, a page with pictures, into FILE.",
)
@talking
def show(talk: Talk, model: str, report: Path | None) -> None:
    """Show a version (the latest, unless one is named): card, signature, lineage, evidence."""
    found = talk.hub.show(model)
    if report is not None:
        report.write_bytes(talk.hub.report(str(found)))
    talk.answer(found, lambda: _show(found))
    if report is not None:
        click.echo(f"The report is in {report}; a browser shows it.", err=True)


def _show(found: Version) -> None:
    paper.facts(
        [
            ("version", str(found)),
            ("state", found.state),
            ("task", found.task),
            *([("code", "runs Python of its owner's")] if found.code else []),
            ("aliases", found.aliases),
            ("created", found.created_at),
            ("size", bytes_text(found.size_bytes)),
            ("digest", found.digest),
            *_signature(found.signature),
        ]
    )
    for title, pairs in (("Lineage", _lineage(found.lineage)), ("Evidence", evidence(found))):
        if pairs:
            paper.line(f"\n{title}")
            paper.facts(pairs)
    if found.card:
        paper.line()
        paper.markdown(found.card)


def _lineage(lineage: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, gist_of(value) if isinstance(value, dict) else text_of(value))
        for name, value in lineage.items()
    ]


def evidence(version: Version) -> list[tuple[str, str]]:
    """A line for each thing that was measured."""
    return [(entry.get("kind", "measured"), line_of(entry)) for entry in version.evidence]


def _signature(signature: Signature) -> list[tuple[str, str]]:
    sides = [("input", spec) for spec in signature.inputs] + [("output", spec) for spec in signature.outputs]
    return [
        (side, f"{spec.name} {spec.datatype} {list(spec.shape)}{_columns(spec.columns)}")
        for side, spec in sides
    ]


def _columns(columns: tuple[str, ...]) -> str:
    if not columns:
        return ""
    few = 12
    more = f" … {len(columns)} in all" if len(columns) > few else ""
    return f": {', '.join(columns[:few])}{more}"


@click.command()
@click.argument("model", metavar="NAME[:V|@ALIAS]")
@click.argument("alias", metavar="[ALIAS]", required=False)
@click.option("--delete", is_flag=True, help="Let NAME@ALIAS mean nothing any more.")
@click.option(
    "--protected/--unprotected",
    default=None,
    help="Let it mean only what proves what NAME keeps (`forebay keep`), or anything again.",
)
@click.option("--override", metavar="REASON", help="Pass the gate all the same, and say why.")
@talking
def alias(
    talk: Talk,
    model: str,
    alias: str | None,  # noqa: A002, RUF100
    delete: bool,
    protected: bool | None,
    override: str | None,
) -> None:
    """Let ALIAS mean a version: `forebay alias digits:3 champion`. Without ALIAS, list the aliases."""
    ref = ModelRef.parse(model)
    if alias is None and protected is not None:
        alias = ref.alias
    if delete:
        _delete_alias(talk, ref, alias, override)
    elif alias is None:
        if protected is not None or override is not None:
            raise Malformed(f"which alias of {ref.model}? write `forebay alias {ref.model}:1 NAME …`")
        found = talk.hub.aliases(ref.model)
        talk.answer(found, lambda: _list_aliases(found))
    else:
        number = talk.hub.alias(model, alias, protected=protected, override=override)
        answer = {"model": ref.model, "alias": alias, "version": number}
        talk.answer(answer, lambda: paper.line(f"{ref.model}@{alias} is version {number}"))


def _list_aliases(found: Sequence[Alias]) -> None:
    names = ("Alias", "Version", "Protected", "Since")
    rows = [(each.name, each.version, "yes" if each.protected else "", each.updated_at) for each in found]
    paper.table(names, rows, empty="No alias yet.")


def _delete_alias(talk: Talk, ref: ModelRef, alias: str | None, override: str | None) -> None:
    name = alias or ref.alias
    if name is None:
        raise Malformed(f"which alias of {ref.model}? write `forebay alias {ref.model}@NAME --delete`")
    talk.hub.unalias(ref.model, name, override=override)
    answer = {"model": ref.model, "alias": name, "version": None}
    talk.answer(answer, lambda: paper.line(f"{ref.model}@{name} means nothing any more"))


@click.command()
@click.argument("model", metavar="NAME:V")
@talking
def retire(talk: Talk, model: str) -> None:
    """Let nobody deploy a version any more; refused while it is deployed."""
    talk.hub.retire(model)
    talk.answer({"retired": model}, lambda: paper.line(f"{model} is retired"))
