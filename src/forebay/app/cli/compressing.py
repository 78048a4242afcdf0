"""compress."""

from __future__ import annotations

from pathlib import Path

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Talk, talking
from forebay.app.cli.paths import Existing
from forebay.app.cli.training import Duration
from forebay.client.evidence import compression_of, report_of
from forebay.client.results import Version

_GOALS = ("latency", "throughput", "size", "memory", "energy")


@click.command()
@click.argument("model", metavar="NAME[:V|@ALIAS]")
@click.option(
    "--data",
    required=True,
    type=Existing(),
    metavar="FILE",
    help="Rows that the model has not learnt from (.csv, .parquet, .jsonl).",
)
@click.option(
    "--target", metavar="COLUMN", help="The column with the right answers; the trained one, if left out."
)
@click.option(
    "--keep",
    metavar="PROMISE",
    help='What may be lost, as in "accuracy>=-0.5"; what NAME keeps anyway, if left out.',
)
@click.option(
    "--for",
    "goal",
    type=click.Choice(_GOALS),
    default="latency",
    show_default=True,
    help="What is to become less (or, of throughput, more).",
)
@click.option(
    "--time-budget",
    type=Duration(),
    default="10m",
    show_default=True,
    metavar="DURATION",
    help="How long to search, as in 2m.",
)
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="COLUMN",
    help="Show each group of this column by itself, and let promises speak of it.",
)
@click.option("--seed", type=int, default=0, metavar="NUMBER", help="Of everything that is drawn.")
@click.option("--name", metavar="NAME", help="Add the new version to this model instead.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write the report, a page with pictures, into FILE.",
)
@talking
def compress(
    talk: Talk,
    model: str,
    data: Path,
    target: str | None,
    keep: str | None,
    goal: str,
    time_budget: float,
    slices: tuple[str, ...],
    seed: int,
    name: str | None,
    report: Path | None,
) -> None:
    """Make a version smaller or faster that loses no more than you allow, and prove it.

    NAME alone is its newest version that was not compressed. What keeps its promise becomes a new version
    with its evidence; what does not is not kept. The work is done by the hub; Ctrl-C stops waiting for it,
    not the work.
    """
    version = talk.hub.compress(
        model,
        data,
        target,
        keep=keep,
        goal=goal,
        slices=slices,
        into=name,
        time_budget_s=time_budget,
        seed=seed,
        progress=talk.progress(),
    )
    if report is not None:
        report.write_bytes(report_of(compression_of(version.evidence)))
    talk.answer(version, lambda: _show(version))
    if report is not None:
        click.echo(f"The report is in {report}; a browser shows it.", err=True)


def _show(version: Version) -> None:
    """The candidates that no other beats, the one that was taken first, and what came of it in a sentence."""
    from forebay.workshop.compress import front_rows  # noqa: PLC0415 (not before it is needed)

    evidence = compression_of(version.evidence)
    rows = [
        [f"{tried.name} (taken)" if tried.recipe == evidence.recipe else tried.name, *figures]
        for tried, figures in front_rows(evidence)
    ]
    names = ("Candidate", "Time alone", "Time in 32", "Size", "Stands", "Figures")
    paper.table(names, rows, empty="No candidate was measured.")
    paper.line(f"{version}: {version.sentence}")
    click.echo(f"Next: forebay deploy {version}", err=True)
