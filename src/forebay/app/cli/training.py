"""train."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Talk, talking
from forebay.app.cli.making import made
from forebay.app.cli.paths import Existing, existing
from forebay.client.results import Version
from forebay.client.shown import Listing
from forebay.core.errors import Malformed

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_TASKS = ("classification", "multilabel", "regression", "quantile", "forecasting", "clustering", "anomaly")
_SHOWN = 10


class Duration(click.ParamType[float]):
    """Seconds, written as people do.

    >>> Duration().convert("2m", None, None), Duration().convert("1.5", None, None)
    (120.0, 1.5)
    """

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `90`, `90s`, `2m` or `1h`."""
        text = str(value)
        unit = _UNITS.get(text[-1:])
        try:
            seconds = float(text[:-1]) * unit if unit else float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{text!r} is no duration; write 90, 90s, 2m or 1h", param, ctx)
        return seconds


@click.command()
@click.argument("given", nargs=-1, metavar="FILE|FOLDER | [-- ARGUMENT …]")
@click.option(
    "--script",
    type=Existing(),
    metavar="FILE",
    help="Run this Python script of yours instead, with the arguments.",
)
@click.option(
    "--with",
    "include",
    multiple=True,
    type=Existing(folders=True),
    metavar="FILE|FOLDER",
    help="What the script needs beside it.",
)
@click.option(
    "--target", "targets", multiple=True, metavar="COLUMN", help="The column to predict; several are labels."
)
@click.option("--name", metavar="NAME", help="The model's name; the file's, if left out.")
@click.option(
    "--task", type=click.Choice(_TASKS), help="What kind of answer; found from the target, if left out."
)
@click.option("--estimator", metavar="NAME", help="One kind of estimator; several are tried, if left out.")
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the estimator, or the script.",
)
@click.option("--feature", "features", multiple=True, metavar="COLUMN", help="Learn from these columns only.")
@click.option("--time-budget", type=Duration(), metavar="DURATION", help="How long to search, as in 2m.")
@click.option("--metric", metavar="NAME", help="What the search looks at.")
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    type=click.Choice(["latency", "size"]),
    help="What counts too.",
)
@click.option(
    "--split", type=click.Choice(["stratified", "random", "time", "group"]), help="What is held out."
)
@click.option("--by", metavar="COLUMN", help="The column of a split by time or group, or of a series' time.")
@click.option("--horizon", type=int, metavar="STEPS", help="How many steps to foresee.")
@click.option("--class-weights", is_flag=True, help="Let every class count alike, however rare.")
@click.option("--seed", type=int, metavar="NUMBER", help="Of everything that is drawn.")
@talking
def train(
    talk: Talk,
    /,
    given: tuple[str, ...],
    script: Path | None,
    include: tuple[Path, ...],
    targets: tuple[str, ...],
    name: str | None,
    parameters: tuple[str, ...],
    time_budget: float | None,
    **asked: Any,
) -> None:
    """Train a model from a table (.csv, .parquet, .jsonl) or a folder of pictures, and publish it.

    With --script, code of yours does it, which `forebay.run()` tells its parameters and takes the model from.
    The work is done by the hub; Ctrl-C stops waiting for it, not the work.
    """
    if script is not None:
        asked |= {"target": targets, "time_budget": time_budget}
        _run_script(talk, script, name, given, parameters, include, asked)
        return
    data = _data(given, include)
    said = {word: value for word, value in asked.items() if value not in (None, (), False)}
    if parameters:
        said["parameters"] = dict(map(_parameter, parameters))
    if time_budget is not None:
        said["time_budget_s"] = time_budget
    target = targets[0] if len(targets) == 1 else list(targets) or None
    version = talk.hub.train(data, target, name=name, progress=talk.progress(), **said)
    talk.answer(version, lambda: _trained(version))


def _trained(version: Version) -> None:
    """What was made, and what else was tried: where costs count, those that nobody beats in everything."""
    made(version)
    lines = version.leaderboard()
    if any("front" in line for line in lines):
        lines = Listing(line for line in lines if line["front"])
    if len(lines) < 2:
        return
    names = [name for name in lines[0] if name != "front"]
    shown = [[line[name] if line[name] != {} else "as-it-is" for name in names] for line in lines[:_SHOWN]]
    paper.line()
    paper.table([name.replace("_", " ").capitalize() for name in names], shown, empty="")


def _run_script(
    talk: Talk,
    script: Path,
    name: str | None,
    arguments: tuple[str, ...],
    parameters: tuple[str, ...],
    include: tuple[Path, ...],
    asked: dict[str, Any],
) -> None:
    strange = [word for word, value in asked.items() if value not in (None, (), False)]
    if strange:
        option = strange[0].rstrip("s").replace("_", "-")
        raise click.UsageError(
            f"--{option} is for trainings of ours; a script takes --set NAME=VALUE and arguments"
        )
    version = talk.hub.run(
        script,
        name=name,
        arguments=arguments,
        parameters=dict(map(_parameter, parameters)),
        include=include,
        progress=talk.progress(),
    )
    if version is None:
        talk.answer({}, lambda: click.echo("The script has ended well, and published nothing."))
    else:
        talk.answer(version, lambda: made(version))


def _data(given: tuple[str, ...], include: tuple[Path, ...]) -> Path:
    if include:
        raise click.UsageError("--with is for what a script needs; name the script with --script")
    if len(given) != 1:
        raise click.UsageError("name one file or folder to learn from, or a script of yours with --script")
    return existing(Path(given[0]), folders=True)


def _parameter(text: str) -> tuple[str, Any]:
    """`depth=6` as a name and a number.

    >>> _parameter("depth=6"), _parameter("schedule=cosine")
    (('depth', 6), ('schedule', 'cosine'))
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Malformed(f"{text!r} is no NAME=VALUE; write it like --set depth=6")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
