"""A card for a compressed version: the report in Markdown, as it is read beside other versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forebay.workshop.compress.evidence import TIMES, ClassLine, Evidence
from forebay.workshop.compress.keep.verdict import plain, signed
from forebay.workshop.compress.searching import front
from forebay.workshop.compress.tried import Outcome, Tried

_MOST_LINES = 20


def card_of(name: str, parent: str, evidence: Evidence) -> str:
    """Markdown for *name*, which was made from *parent*."""
    parts = [f"# {name}", f"{parent}, compressed by {' + '.join(evidence.recipe)}: {evidence.sentence}."]
    parts += ["## What it keeps", _promises(evidence), "## What it costs", _costs(evidence)]
    for what, lines in {"class": evidence.classes, **evidence.slices}.items():
        if lines:
            parts += [f"## By {what}", _by(lines)]
    parts += ["## What was tried", front_table(evidence), *_failed(evidence), "## Where it comes from"]
    return "\n\n".join([*parts, _origin(evidence)]) + "\n"


def front_table(evidence: Evidence) -> str:
    """The candidates that no other beats, as a Markdown table."""
    rows = [[tried.name, *figures] for tried, figures in front_rows(evidence)]
    return table(["candidate", "time alone", "time in 32", "size", "stands", "figures"], rows)


def front_rows(evidence: Evidence) -> list[tuple[Tried, list[str]]]:
    """Each candidate that no other beats, what was taken first, with its shares of the original."""
    best = front(evidence.tried) | {evidence.recipe}
    shown = sorted(
        (tried for tried in evidence.tried if tried.recipe in best and tried.costs),
        key=lambda tried: (tried.recipe != evidence.recipe, tried.disk_bytes, tried.recipe),
    )
    return [(tried, _figures(tried)) for tried in shown]


def _figures(tried: Tried) -> list[str]:
    return [
        *(f"{tried.ratio('p50_s', size):.2f}" for size in (1, 32)),
        f"{tried.size:.2f}",
        str(tried.verdict),
        "; ".join(finding.figures for finding in tried.findings),
    ]


def _promises(evidence: Evidence) -> str:
    rows = [
        [
            f"`{found.promise}`",
            plain(found.before),
            plain(found.after),
            f"{signed(found.low)} to {signed(found.high)}",
            f"{found.rows:,}",
            str(found.verdict),
        ]
        for found in evidence.findings
    ]
    note = (
        "There were no labels: agreement with the original stands in for being right.\n\n"
        if evidence.unlabelled
        else ""
    )
    return note + table(["promise", "before", "after", "95 % interval", "rows", "verdict"], rows)


def _costs(evidence: Evidence) -> str:
    rows = [
        [
            str(new.batch_rows),
            f"{1000 * old.p50_s:.3g} ms",
            f"{1000 * new.p50_s:.3g} ms",
            f"{old.p50_s / new.p50_s:.2f} {TIMES}",
        ]
        for old, new in zip(evidence.source_costs, evidence.costs, strict=True)
    ]
    sizes = (
        f"{evidence.source_disk_bytes:,} bytes on disk before, {evidence.disk_bytes:,} after; "
        f"{evidence.source_memory_bytes:,} bytes of memory before, {evidence.memory_bytes:,} after."
    )
    return f"{table(['rows together', 'median before', 'after', 'gain'], rows)}\n\n{sizes}"


def _by(lines: Sequence[ClassLine]) -> str:
    ordered = sorted(lines, key=lambda line: line.after - line.before)[:_MOST_LINES]
    rows = [
        [line.name or "(nothing)", f"{line.rows:,}", plain(line.before), plain(line.after)]
        for line in ordered
    ]
    return table(["", "rows", "before", "after"], rows)


def _failed(evidence: Evidence) -> Iterable[str]:
    failed = [tried for tried in evidence.tried if tried.outcome is Outcome.FAILED]
    if failed:
        yield "\n".join(f"- {tried.name} failed: {_cell(tried.reason)}" for tried in failed)


def _origin(evidence: Evidence) -> str:
    parts = ", ".join(f"{part['rows']} rows for {name}" for name, part in evidence.parts.items())
    machine = ", ".join(f"{name} {value}" for name, value in evidence.machine.items())
    return "\n".join(
        [
            f"- recipe: {' + '.join(evidence.recipe)}, seed {evidence.seed}, for {evidence.goal}",
            f"- made from: sha256:{evidence.source_digest}",
            f"- data: sha256:{evidence.data_digest} ({parts})",
            f"- machine: {machine}",
        ]
    )


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown.

    >>> print(table(["a", "b"], [["1", "x|y"]]))
    | a | b |
    | --- | --- |
    | 1 | x/y |
    """
    lines = [names, ["---"] * len(names), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
