"""projects, keys, usage, plans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Plural, Talk, talking
from forebay.client.results import NewKey, Usage, UsageRow, Verification
from forebay.client.shown import bytes_text
from forebay.core.errors import Broken

_PERIODS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[datetime]):
    """A point in time: ISO 8601 (UTC unless it says otherwise), or so long ago.

    >>> Moment().convert("2026-11-21", None, None)
    datetime.datetime(2026, 11, 21, 0, 0, tzinfo=datetime.timezone.utc)
    """

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a date, a time, or `7d`, `12h`, `30m`."""
        text = str(value)
        if text[:-1].isdigit() and text[-1] in _PERIODS:
            return datetime.now(UTC) - timedelta(**{_PERIODS[text[-1]]: int(text[:-1])})
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time; write 2026-11-21, 2026-11-21T12:00, 7d or 12h", param, ctx)
        return found.replace(tzinfo=found.tzinfo or UTC)


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


@click.group(cls=Plural)
def keys() -> None:
    """List, create and revoke keys."""


@keys.command("list")
@talking
def list_keys(talk: Talk) -> None:
    """List the keys that are valid now."""
    found = talk.hub.keys()
    rows = [[key.id, key.name, key.role, key.models or "all", key.created_at] for key in found]
    hint = "There is no key; `forebay keys create` makes one."
    talk.answer(found, lambda: paper.table(("Key", "Name", "Role", "Models", "Created"), rows, empty=hint))


@keys.command("create")
@click.argument("name", default="")
@click.option(
    "--role",
    type=click.Choice(["inference", "developer", "coder", "admin", "node"]),
    default="inference",
    show_default=True,
    help="What the key is for; a coder is a developer who may publish Python.",
)
@click.option("--model", "models", multiple=True, help="Let it ask this model only; may be repeated.")
@talking
def create_key(talk: Talk, name: str, role: str, models: tuple[str, ...]) -> None:
    """Create a key. Its secret is shown now, and never again."""
    made = talk.hub.keys.create(name, role=role, models=models or None)
    talk.answer(made, lambda: _show_key(made))


def _show_key(made: NewKey) -> None:
    paper.line(made.secret)
    click.echo(
        f"Keep it: this is the only time it is shown. `forebay keys revoke {made.id}` ends it.", err=True
    )


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@talking
def revoke_key(talk: Talk, key_id: str) -> None:
    """Refuse the key ID from now on."""
    talk.hub.keys.revoke(key_id)
    talk.answer({"revoked": key_id}, lambda: paper.line(f"key {key_id} is refused from now on"))


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


@click.command()
@talking
def plans(talk: Talk) -> None:
    """List the price lists."""
    found = talk.hub.plans()
    rows = [
        [
            plan.name,
            plan.currency,
            f"{plan.per_request:f}",
            f"{plan.per_row:f}",
            f"{plan.per_compute_s:f}",
            f"{plan.cached_share:f}",
        ]
        for plan in found
    ]
    names = ("Plan", "Currency", "A request", "A row", "A second of compute", "Cached")
    talk.answer(found, lambda: paper.table(names, rows, empty="There is no plan."))
