"""What every command has: --json and --project, a hub when it asks for one, and a way to answer."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
import msgspec

from forebay.app.settings import check_environment
from forebay.client import Hub, LineProgress, Progress, connect

P = ParamSpec("P")
R = TypeVar("R")
_JSON, _PROJECT, _HUB = (f"{__name__}.{name}" for name in ("json", "project", "hub"))


class Talk:
    """One command's conversation: with the hub, and with whoever typed it."""

    def __init__(self, context: click.Context) -> None:
        self._context = context

    @property
    def json(self) -> bool:
        """Whether a program reads the answer."""
        return bool(self._context.meta.get(_JSON))

    @property
    def hub(self) -> Hub:
        """The hub, connected at the first use."""
        hub = self._context.meta.get(_HUB)
        if hub is None:
            check_environment(os.environ)
            hub = self._context.meta[_HUB] = connect(project=self._context.meta.get(_PROJECT))
            self._context.call_on_close(hub.close)
        assert isinstance(hub, Hub)
        return hub

    def progress(self) -> Progress:
        """A bar for eyes and lines for a log, always beside the answer."""
        if not sys.stderr.isatty():
            return LineProgress(sys.stderr)
        from forebay.app.cli.bar import BarProgress  # noqa: PLC0415 (heavy, and of no use in a pipe)

        return BarProgress(sys.stderr)

    def answer(self, document: object, show: Callable[[], None]) -> None:
        """Print *document* for a program, or *show* it to a person."""
        if self.json:
            click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
        else:
            show()


def talking(function: Callable[Concatenate[Talk, P], R]) -> Callable[P, R]:
    """A command that gets a `Talk` first, and takes --json and --project."""

    @_option("--json", _JSON, is_flag=True, help="Answer with one JSON document.")
    @_option("--project", _PROJECT, metavar="NAME", help="Another project than the key's own.")
    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(Talk(click.get_current_context()), *args, **kwargs)

    return command


class Plural(click.Group):
    """A group like `keys`: by itself, with or without options, it lists."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `keys --json` as `keys list --json`."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def _option(name: str, slot: str, **settings: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """An option that every command has and none sees; `Talk` finds it in the context."""

    def keep(context: click.Context, _option: click.Parameter, value: object) -> None:
        if value:
            context.meta[slot] = value

    return click.option(name, expose_value=False, callback=keep, **settings)
