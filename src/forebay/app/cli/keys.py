"""keys."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Plural, Talk, talking
from forebay.app.cli.moments import Duration, Moment
from forebay.client.results import Key, NewKey

ROLES = (
    "inference",
    "publisher",
    "developer",
    "coder",
    "viewer",
    "billing",
    "admin",
    "owner",
    "observer",
    "node",
    "operator",
)


@click.group(cls=Plural)
def keys() -> None:
    """List, create, rotate and revoke keys."""


@keys.command("list")
@talking
def list_keys(talk: Talk) -> None:
    """List the keys that are valid now; --json has all that is known of them."""
    found = talk.hub.keys()
    names = ("Key", "Name", "Role", "Models", "Narrowed to", "Expires", "Last used")
    hint = "There is no key; `forebay keys create` makes one."
    talk.answer(found, lambda: paper.table(names, map(_row, found), empty=hint))


def _row(key: Key) -> list[object]:
    narrowed = [*(key.actions or ()), *(key.protocols or ()), *(key.networks or ())]
    ends = key.expires_at or "never"
    return [key.id, key.name, key.role, key.models or "all", narrowed, ends, key.used_at or "never"]


@keys.command("create")
@click.argument("name", default="")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="inference",
    show_default=True,
    help="What the key is for; a coder is a developer who may publish Python.",
)
@click.option("--model", "models", multiple=True, help="For this model only, or `shop-*`; may be repeated.")
@click.option("--may", "actions", multiple=True, help="Only this of what the role may; may be repeated.")
@click.option("--protocol", "protocols", multiple=True, help="By this protocol only; may be repeated.")
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="From here only; may be repeated.")
@click.option(
    "--expires", type=Moment(ahead=True), metavar="WHEN", help="A date, a time, or after: 12h, 30d."
)
@talking
def create_key(
    talk: Talk,
    name: str,
    role: str,
    models: tuple[str, ...],
    actions: tuple[str, ...],
    protocols: tuple[str, ...],
    networks: tuple[str, ...],
    expires: datetime | None,
) -> None:
    """Create a key. Its secret is shown now, and never again."""
    made = talk.hub.keys.create(
        name,
        role=role,
        models=models or None,
        actions=actions or None,
        protocols=protocols or None,
        networks=networks or None,
        expires=expires,
    )
    talk.answer(made, lambda: _show_key(made))


def _show_key(made: NewKey, note: str = "") -> None:
    paper.line(made.secret)
    click.echo(
        f"Keep it: this is the only time it is shown. `forebay keys revoke {made.id}` ends it.{note}",
        err=True,
    )


@keys.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    type=Duration(),
    default=timedelta(days=1),
    show_default="1d",
    help="How long the secret before it stays good.",
)
@talking
def rotate_key(talk: Talk, key_id: str, overlap: timedelta) -> None:
    """Give the key ID another secret, and let the one before be good a while longer."""
    made = talk.hub.keys.rotate(key_id, overlap=overlap)
    note = f" The secret before it is good for {overlap} more." if overlap else ""
    talk.answer(made, lambda: _show_key(made, note))


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@talking
def revoke_key(talk: Talk, key_id: str) -> None:
    """Refuse the key ID from now on."""
    talk.hub.keys.revoke(key_id)
    talk.answer({"revoked": key_id}, lambda: paper.line(f"key {key_id} is refused from now on"))
