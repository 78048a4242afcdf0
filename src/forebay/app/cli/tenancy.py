"""projects, usage."""

from __future__ import annotations

from datetime import datetime

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Plural, Talk, talking
from forebay.app.cli.moments import Moment
from forebay.client.results import Usage, UsageRow, Verification
from forebay.client.shown import bytes_text
from forebay.core.errors import Broken


@click.group(cls=Plural)
def projects() -> None:
    """List projects, or create one."""


@projects.command("list")
@talking
def list_projects(talk: Talk) -> None:
    """List the projects that the key may see."""
    found = talk.hub.projects()
    rows = [[project.name, project.created_at] for project in found]
    talk.answer(found, lambda: paper.table(("Project", "Created"), rows, empty="There is no project."))


@projects.command("create")
@click.argument("name")
@talking
def create_project(talk: Talk, name: str) -> None:
    """Create the project NAME."""
    made = talk.hub.projects.create(name)
    talk.answer(
        made, lambda: paper.line(f"made the project {made.name}; `--project {made.name}` works in it")
    )


@click.group(invoke_without_command=True)
@click.option(
    "--by",
    type=click.Choice(["model", "key", "version", "day"]),
    default="model",
    show_default=True,
    help="What to add up.",
)
@click.option(
    "--since", type=Moment(), metavar="WHEN", help="From: a date, a time, or how long ago, as in 7d or 12h."
)
@click.option("--until", type=Moment(), metavar="WHEN", help="Until: as --since.")
@talking
def usage(talk: Talk, by: str, since: datetime | None, until: datetime | None) -> None:
    """What was used, and what it costs under the plan.

    Costs are shown to six places; --json has them exactly.
    """
    if click.get_current_context().invoked_subcommand:
        return
    found = talk.hub.usage(by, since=since, until=until)
    talk.answer(found, lambda: _show_usage(found, by))


@usage.command("verify")
@talking
def verify_usage(talk: Talk) -> None:
    """Read the whole ledger: every byte as a node wrote it, nothing missing, the totals right."""
    found = talk.hub.verify_usage()
    talk.answer(found, lambda: _show_verification(found))
    if found.faults:
        raise Broken("the ledger is not what the nodes wrote; restore the hub's database from a backup")


def _show_verification(found: Verification) -> None:
    for fault in found.faults:
        paper.line(fault)
    paper.line(f"read {found.events} events in {found.blocks} blocks: {len(found.faults) or 'no'} faults")


def _show_usage(found: Usage, by: str) -> None:
    names = (
        by.capitalize(),
        "Requests",
        "Cached",
        "Rows",
        "In",
        "Out",
        "Compute s",
        f"Cost {found.currency}",
    )
    rows = [_usage_row(row) for row in found.items]
    if len(rows) > 1:
        rows.append(_usage_row(found.total, "total"))
    paper.table(names, rows, empty="Nothing was used.")


def _usage_row(row: UsageRow, group: str | None = None) -> list[object]:
    sizes = (bytes_text(row.request_bytes), bytes_text(row.response_bytes))
    return [
        group or row.group,
        row.requests,
        row.cached,
        row.rows,
        *sizes,
        f"{row.compute_s:.4g}",
        f"{row.cost:.6f}",
    ]
