"""The step in which the model becomes smaller, with what it may lose written down."""

from __future__ import annotations

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from forebay.app.demo.pictures import bar
from forebay.app.demo.stage import Stage, Step, Whisper
from forebay.client import Hub, JobFailed
from forebay.client.evidence import compression_of
from forebay.client.results import Version
from forebay.core import Array

_KEEP = "accuracy>=-2"
_BUDGET_S = 40.0
_MOST_SHOWN = 5
_BAR = 20


def compress(stage: Stage, hub: Hub, version: Version, rows: Array, labels: Array) -> Version:
    """The smallest version that is proved to lose no more than two points; *version* if there is none."""
    with stage.step("Make it smaller, and prove what that costs") as step:
        step.tell(f"may lose two points at most ({_KEEP}), proved on images used for nothing else")
        try:
            small = hub.compress(
                str(version),
                rows,
                labels,
                keep=_KEEP,
                goal="size",
                time_budget_s=_BUDGET_S,
                progress=Whisper(step),
            )
        except JobFailed as failure:
            step.tell(escape(f"not this time: {failure.job.error}"))
            return version
        _show(step, small)
        return small


def _show(step: Step, small: Version) -> None:
    """The candidates that no other beats, as bars, and the sentence."""
    from forebay.workshop.compress import front_rows  # noqa: PLC0415 (not for --help)

    evidence = compression_of(small.evidence)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(*(Text(word, style="dim") for word in ("candidate", "size", "time alone", "")))
    for tried, _ in front_rows(evidence)[:_MOST_SHOWN]:
        taken = tried.recipe == evidence.recipe
        name = Text(tried.name, style="bold" if taken else "")
        shares = (_share(tried.size), _share(tried.ratio("p50_s", 1)))
        grid.add_row(name, *shares, Text(f"taken as {small}" if taken else str(tried.verdict), style="dim"))
    tried_out = sum(bool(tried.digest) for tried in evidence.tried)
    step.tell(f"{tried_out} candidates measured beside the original; those that no other beats:")
    step.show(grid, grid)
    step.tell(f"[bold]{escape(small.sentence)}[/]")


def _share(share: float) -> RenderableType:
    """What is left of the original's."""
    return Text.assemble((bar(share, _BAR), "cyan"), f" {share:4.0%}")
