"""keep, audit."""

from __future__ import annotations

from pathlib import Path

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Talk, talking
from forebay.client.results import AuditEntry, AuditVerification, Keep
from forebay.core import ModelRef
from forebay.core.artifact import is_digest
from forebay.core.errors import Broken, Malformed


@click.command()
@click.argument("model", metavar="NAME")
@click.argument("promises", metavar="[PROMISES]", required=False)
@click.option(
    "--data",
    metavar="DIGEST|FILE",
    help="The rows to prove it on, or their digest; else those of the first proof.",
)
@click.option("--target", metavar="COLUMN", help="The right answers in FILE; the trained ones, if left out.")
@click.option("--slice", "slices", multiple=True, metavar="COLUMN", help="As `forebay compress` is given it.")
@click.option(
    "--of",
    metavar="V",
    type=click.IntRange(1),
    help="The version it is relative to; else the newest original.",
)
@click.option("--clear", is_flag=True, help="Hold NAME to nothing any more; needs --override.")
@click.option("--override", metavar="REASON", help="Why what stands is changed; needs a key that may.")
@talking
def keep(
    talk: Talk,
    model: str,
    promises: str | None,
    data: str | None,
    target: str | None,
    slices: tuple[str, ...],
    of: int | None,
    clear: bool,
    override: str | None,
) -> None:
    """Say what every version of a model keeps; without PROMISES, show it.

    `forebay keep digits "accuracy>=-0.5"`: from now on its deployment, and its protected aliases, refuse
    a version whose evidence does not prove that.
    """
    name = ModelRef.parse(model).model
    if clear:
        _clear(talk, name, promises, override)
    elif promises is None:
        if data or of or override or target or slices:
            raise Malformed(f'what is {name} to keep? write `forebay keep {name} "accuracy>=-0.5" …`')
        found = talk.hub.keeps(name)
        talk.answer(found, lambda: _show(found))
    else:
        rows = data if data is None or is_digest(data) else Path(data)
        kept = talk.hub.keeps.set(
            name, promises, data=rows, of=of, target=target, slices=slices, override=override
        )
        talk.answer(kept, lambda: _show(kept))


def _clear(talk: Talk, name: str, promises: str | None, override: str | None) -> None:
    if promises is not None:
        raise Malformed("--clear and promises contradict each other; give one of them")
    if override is None:
        raise Malformed(f'say why: `forebay keep {name} --clear --override "…"`')
    talk.hub.keeps.clear(name, override)
    talk.answer({"model": name, "promises": []}, lambda: paper.line(f"{name} keeps nothing any more"))


def _show(kept: Keep) -> None:
    paper.facts(
        [
            ("model", kept.model),
            ("keeps", kept.promises),
            ("against", f"version {kept.of}"),
            ("on data", kept.data or "of the first proof"),
            ("protects", kept.protected),
            ("set", kept.set_at),
            ("by key", kept.set_by),
            *(("note", note) for note in kept.notes),
        ]
    )


@click.group(invoke_without_command=True)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many."
)
@click.option("--before", type=click.IntRange(1), metavar="NUMBER", help="Only what is older than this.")
@click.option("--everywhere", is_flag=True, help="Of every project, for operators.")
@talking
def audit(talk: Talk, limit: int, before: int | None, everywhere: bool) -> None:
    """Say who did what, from where, and what was refused, the newest first."""
    if click.get_current_context().invoked_subcommand:
        return
    found = talk.hub.audit(limit=limit, before=before, everywhere=everywhere)
    names = ("Number", "Time", "Project", "Who", "From", "Action", "Subject", "Outcome", "Detail")
    talk.answer(found, lambda: paper.table(names, map(_row, found), empty="Nothing stands in the audit yet."))


@audit.command("verify")
@click.option(
    "--known", metavar="HEAD", help="What this command printed earlier, and somebody kept elsewhere."
)
@talking
def verify_audit(talk: Talk, known: str | None) -> None:
    """Read all of it: what was altered, removed or put between is found; for operators.

    It prints the end of the chain. Whoever keeps that elsewhere finds with --known also a chain that was
    written anew from its beginning.
    """
    found = talk.hub.verify_audit(known)
    talk.answer(found, lambda: _show_verification(found))
    if found.faults:
        raise Broken("the audit is not as it was written down; find out who could write to the database")


def _show_verification(found: AuditVerification) -> None:
    for fault in found.faults:
        paper.line(fault)
    faults = len(found.faults) or "no"
    paper.line(f"read {found.deeds} deeds: {faults} faults; the chain ends with {found.head}")


@audit.command("export")
@click.option("--everywhere", is_flag=True, help="Of every project, for operators.")
@talking
def export_audit(talk: Talk, everywhere: bool) -> None:
    """Print every deed, oldest first, as JSON Lines."""
    click.echo(talk.hub.export_audit(everywhere=everywhere), nl=False)


def _row(entry: AuditEntry) -> list[object]:
    told = "; ".join(f"{name}: {text}" for name, text in entry.detail.items() if text)
    where = [entry.project, entry.who, entry.origin]
    return [entry.number, entry.time, *where, entry.action, entry.subject, entry.outcome, told]
