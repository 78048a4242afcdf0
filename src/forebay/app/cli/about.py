"""version, completion."""

from __future__ import annotations

import platform

import click
from click.shell_completion import get_completion_class

import forebay


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
def version(as_json: bool) -> None:
    """Print the release."""
    if as_json:
        click.echo(f'{{"version": "{forebay.__version__}", "python": "{platform.python_version()}"}}')
    else:
        click.echo(f"forebay {forebay.__version__} (Python {platform.python_version()})")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL: eval "$(forebay completion bash)"."""
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "forebay", "_FOREBAY_COMPLETE")
    click.echo(
        script.source_template % script.source_vars()
    )  # .source() would start the shell to ask its age
