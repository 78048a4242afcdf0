"""plans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from forebay.app.cli import paper
from forebay.app.cli.bill_paper import show_bills
from forebay.app.cli.frame import Plural, Talk, talking
from forebay.app.cli.moments import Moment
from forebay.client.bill_results import Plan
from forebay.client.pricing import included_of, number_text, plan_body, prices_of, share_text, taxes_of


@click.group(cls=Plural)
def plans() -> None:
    """Say what things cost, and for whom."""


@plans.command("list")
@talking
def list_plans(talk: Talk) -> None:
    """List every version of every plan."""
    found = talk.hub.plans()
    rows = [
        [plan.name, plan.version, plan.holds_from, plan.currency, " ".join(map(str, plan.prices))]
        for plan in found
    ]
    names = ("Plan", "Version", "Holds from", "Currency", "Prices")
    talk.answer(found, lambda: paper.table(names, rows, empty="There is no plan."))


@plans.command("show")
@click.argument("name")
@talking
def show_plan(talk: Talk, name: str) -> None:
    """Show the latest version of the plan NAME."""
    found = talk.hub.plans.show(name)
    talk.answer(found, lambda: paper.facts(_facts(found)))


@plans.command("create")
@click.argument("name")
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="UNIT=PRICE",
    help="A price: request=0.01, token=0.50/1M, digits:row=0.002 for one model, or in tiers "
    "row=0.01:1000,0.005 (0.01 each up to the thousandth of a month); may be repeated.",
)
@click.option(
    "--volume", multiple=True, metavar="UNIT=PRICE", help="As --price, the last tier reached holding for all."
)
@click.option("--included", multiple=True, metavar="UNIT=AMOUNT", help="What a month includes: request=1000.")
@click.option("--currency", help="The currency; EUR if nothing is said.")
@click.option("--fee", help="A subscription, by the month.")
@click.option("--minimum", help="What a month costs at least.")
@click.option("--discount", metavar="SHARE", help="Taken off what usage costs, as in 10%.")
@click.option("--tax", "taxes", multiple=True, metavar="NAME=SHARE", help="A tax, as in VAT=19%.")
@click.option("--decimals", type=int, help="Round amounts to so many places; 2 if nothing is said.")
@click.option("--round-lines", is_flag=True, default=None, help="Round each line, and not only their sum.")
@click.option("--cached", "cached_share", metavar="SHARE", help="What a cached answer costs of the price.")
@click.option("--from", "holds_from", type=Moment(), metavar="WHEN", help="When it begins to hold.")
@talking
def create_plan(talk: Talk, /, name: str, **said: Any) -> None:
    """Create the plan NAME, or its next version; what held before stays for when it held.

    Units are request, row, token, input_token, output_token, audio_second, compute_second, byte,
    request_byte, response_byte and joule.
    """
    made = talk.hub.plans.create_from(plan_body(name, _terms(said)))
    use = f"`forebay plans use {made.name}` lets it hold for a project"
    since = f"{made.holds_from:%Y-%m-%d %H:%M}"
    talk.answer(
        made,
        lambda: paper.line(f"made version {made.version} of the plan {made.name} from {since} on; {use}"),
    )


@plans.command("use")
@click.argument("name")
@click.option(
    "--from", "holds_from", type=Moment(), metavar="WHEN", help="From when on; this hour if nothing is said."
)
@talking
def use_plan(talk: Talk, name: str, holds_from: datetime | None) -> None:
    """Let the plan NAME hold for the project."""
    used = talk.hub.plans.use(name, holds_from)
    since = f"{used.holds_from:%Y-%m-%d %H:%M}"
    talk.answer(used, lambda: paper.line(f"{used.plan} holds for {used.project} from {since} on"))


@plans.command("preview")
@click.argument("name", required=False)
@click.option("--month", metavar="MONTH", help="As in 2026-11; the last one if nothing is said.")
@talking
def preview(talk: Talk, name: str | None, month: str | None) -> None:
    """What a month would have cost under the plan NAME; without one, what it comes to."""
    found = talk.hub.plans.preview(name, month or _last_month())
    talk.answer(found, lambda: show_bills(found))


def _terms(said: dict[str, Any]) -> dict[str, Any]:
    shares = {name: said[name] for name in ("discount", "cached_share") if said[name] is not None}
    numbers = {name: said[name] for name in ("fee", "minimum") if said[name] is not None}
    since: datetime | None = said["holds_from"]
    return {
        "prices": prices_of(said["prices"]) + prices_of(said["volume"], volume=True),
        "included": included_of(said["included"]),
        "taxes": taxes_of(said["taxes"]),
        "currency": said["currency"],
        "decimals": said["decimals"],
        "round_lines": said["round_lines"],
        "holds_from": None if since is None else since.isoformat(),
        **{name: share_text(share) for name, share in shares.items()},
        **{name: number_text(number) for name, number in numbers.items()},
    }


def _last_month() -> str:
    return f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}"


def _facts(plan: Plan) -> list[tuple[str, object]]:
    named = [(f"price {place}", str(price)) for place, price in enumerate(plan.prices, 1)]
    return [
        ("plan", f"{plan.name}:{plan.version}"),
        ("holds from", plan.holds_from),
        ("currency", plan.currency),
        *named,
        ("included", {unit: f"{amount:f}" for unit, amount in plan.included.items()}),
        ("fee", f"{plan.fee:f}" if plan.fee else ""),
        ("minimum", f"{plan.minimum:f}" if plan.minimum else ""),
        ("discount", f"{plan.discount * 100:f} %" if plan.discount else ""),
        ("taxes", {tax.name: f"{tax.share * 100:f} %" for tax in plan.taxes}),
        ("cached", f"{plan.cached_share:f}"),
    ]
