"""The command line. Nothing heavy is imported before a command runs, so that `--help` is quick.

`COMMANDS` says what there is; a command's module is loaded when it is called. Answers go to standard
output, progress and errors to standard error; the exit code is 0, 1 for what was refused or failed, 2
for what was typed wrongly and 130 after Ctrl-C.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from click.exceptions import NoSuchCommand

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Run it": {
        "up": ("processes:up", "Start a hub and a node on this machine."),
        "down": ("processes:down", "Finish what was asked for, and stop them."),
        "status": ("processes:status", "Say what runs, and where."),
        "doctor": ("processes:doctor", "Find the commonest mistakes, and how to mend them."),
        "hub": ("processes:hub", "Run a hub alone."),
        "node": ("processes:node", "Run a node alone."),
        "demo": ("showing:demo", "See the whole of it in two minutes: data in, a metered prediction out."),
    },
    "Make models": {
        "train": ("training:train", "Train a model from a table or pictures, and publish it."),
        "publish": ("making:publish", "Publish a model that exists."),
        "compress": ("compressing:compress", "Make a version smaller or faster, with a promise kept."),
        "jobs": ("watching:jobs", "Look after slow work."),
    },
    "Serve them": {
        "deploy": ("serving:deploy", "Let a name answer with a version."),
        "undeploy": ("serving:undeploy", "Let a name answer nothing."),
        "deployments": ("serving:deployments", "List what answers."),
        "predict": ("serving:predict", "Ask a deployed model."),
    },
    "Know them": {
        "models": ("catalogue:models", "List the models."),
        "versions": ("catalogue:versions", "List the versions of a model."),
        "show": ("catalogue:show", "Show a version: card, signature, lineage, evidence."),
        "alias": ("catalogue:alias", "Give a version a movable name."),
        "keep": ("guarding:keep", "Say what every version of a model keeps."),
        "retire": ("catalogue:retire", "Let nobody deploy a version any more."),
    },
    "Share and bill": {
        "projects": ("tenancy:projects", "List projects, or create one."),
        "keys": ("keys:keys", "List, create, rotate and revoke keys."),
        "usage": ("tenancy:usage", "What was used, and what it costs."),
        "limits": ("limiting:limits", "Say what calls may take."),
        "plans": ("pricing:plans", "Say what things cost, and for whom."),
        "invoices": ("invoicing:invoices", "List, show and write invoices."),
        "audit": ("guarding:audit", "Say who did what; prove it, export it."),
        "nodes": ("watching:nodes", "List the nodes and what they serve."),
    },
    "About": {
        "version": ("about:version", "Print the release."),
        "completion": ("about:completion", "Print the completion script of a shell."),
    },
}


class LazyGroup(click.Group):
    """A group that knows its commands by name, and loads one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Every name, in the order of the help."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        """Load one command; None if there is none of this name."""
        for section in COMMANDS.values():
            if cmd_name in section:
                module, attribute = section[cmd_name][0].split(":")
                found: click.Command = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
                return found
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; a misspelt name is answered with the nearest that there are."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand:
            raise NoSuchCommand(args[0], possibilities=self.list_commands(ctx), ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's signature)
        """What there is, by what it is for; from the table, without loading anything."""
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, summary) for name, (_, summary) in section.items()])


def _release(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.invoke(ctx.command.get_command(ctx, "version"))  # type: ignore[attr-defined]  # it is the group below
        ctx.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_release, help="Print the release."
)
def cli() -> None:
    """Forebay: train, publish, serve, guard, meter and bill any model.

    \b
    A first walk:
      forebay up --detach
      forebay train DATA.csv --target COLUMN
      forebay deploy NAME
      forebay predict NAME

    Every command takes --json. FOREBAY_URL and FOREBAY_KEY say which hub is meant and who asks; on
    the machine of `forebay up` both are found by themselves.
    """  # noqa: D301 (click's mark for lines that stay as they are)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        answer = cli.main(args, prog_name="forebay", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as abort:  # click's word for Ctrl-C and for a closed input
        return _said(str(abort.__cause__ or "") or "stopped", 130)
    except BrokenPipeError:  # `forebay models | head -1` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not _expected(error):
            raise
        return _said(str(error), 1)
    return answer if isinstance(answer, int) else 0


def _expected(error: Exception) -> bool:
    """Whether *error* tells the user what to do; anything else is a mistake of ours and shows its trace."""
    from forebay.core.errors import ForebayError  # noqa: PLC0415 (loads NumPy)

    return isinstance(error, ForebayError | OSError)


def _said(sentence: str, code: int) -> int:
    click.echo(f"forebay: {' '.join(sentence.split())}", err=True)
    return code
