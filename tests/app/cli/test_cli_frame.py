"""What every command does alike: help, exit codes, one line for what went wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from forebay.app.cli import COMMANDS, cli
from forebay.app.cli.frame import Plural

NAMES = [name for section in COMMANDS.values() for name in section]


def forebay(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, with nothing of this machine's Forebay in sight."""
    return subprocess.run(
        [sys.executable, "-m", "forebay", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "FOREBAY_HOME": "/nonexistent"}
        | environ,
        check=False,
    )


def test_help_imports_nothing_that_is_not_needed_to_print_it() -> None:
    program = (
        "import sys; from forebay.app.cli import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in found.stderr.split()}
    foreign = {name for name in loaded if name not in sys.stdlib_module_names and name[0] not in "_$"}
    assert foreign <= {"forebay", "click", "coverage", "sitecustomize"}
    assert "predict" in found.stdout


def test_import_forebay_is_cheap() -> None:
    program = "import sys, forebay; forebay.__version__; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "httpx", "msgspec", "sklearn"} & set(found.stdout.split())


def test_a_misspelt_setting_is_an_error_and_not_another_hub() -> None:
    done = forebay("models", FOREBAY_URI="http://hub.example.org:8080")
    assert done.returncode == 1
    assert done.stderr == "forebay: FOREBAY_URI is no setting; did you mean FOREBAY_URL?\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_help_exists_and_says_what_it_does(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.help


def leaves() -> list[list[str]]:
    """Every command with its subcommands."""
    found: list[list[str]] = []
    for name in NAMES:
        command = cli.get_command(click.Context(cli), name)
        subcommands = list(command.commands) if isinstance(command, Plural) else []
        found += [[name, sub] for sub in subcommands] or [[name]]
    return found


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_every_command_takes_json_and_explains_each_of_its_options(words: list[str]) -> None:
    page = CliRunner().invoke(cli, [*words, "--help"]).output
    if words[0] not in ("hub", "node", "completion"):  # these run on, or answer to a shell
        assert "--json" in page
    command: click.Command | None = cli
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    assert all(option.help for option in options)


def test_where_no_hub_runs_one_line_says_what_to_do() -> None:
    found = forebay("models")
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.splitlines() == [
        (
            "forebay: no hub runs from /nonexistent; "
            "start one with `forebay up`, or set FOREBAY_URL (and FOREBAY_KEY)"
        )
    ]


def test_with_json_nothing_but_json_is_ever_on_standard_output() -> None:
    found = forebay("models", "--json")
    assert (found.returncode, found.stdout) == (1, "")
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [["nonsense"], ["models", "--nonsense"], ["train"], ["usage", "--since", "soon"]]
)
def test_what_is_typed_wrongly_ends_with_2(words: list[str], tmp_path: Path) -> None:
    found = forebay(*words)
    assert found.returncode == 2
    assert found.stdout == ""


def test_a_misspelt_command_is_guessed() -> None:
    assert "predict" in forebay("perdict").stderr


def test_the_release_is_printed() -> None:
    import forebay as package  # noqa: PLC0415 - the helper above has its name

    assert forebay("version").stdout.startswith(f"forebay {package.__version__} ")
    assert forebay("--version").stdout == forebay("version").stdout


def test_the_release_is_that_of_the_package() -> None:
    import tomllib  # noqa: PLC0415 - only here

    import forebay as package  # noqa: PLC0415 - the helper above has its name

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert package.__version__ == project.get("version", package.__version__)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion_script(shell: str) -> None:
    found = forebay("completion", shell)
    assert found.returncode == 0
    assert "_FOREBAY_COMPLETE" in found.stdout


def test_completion_knows_the_commands() -> None:
    found = forebay(COMP_WORDS="forebay mod", COMP_CWORD="1", _FOREBAY_COMPLETE="bash_complete")
    assert found.stdout.split() == ["plain,models"]


def test_a_reader_that_has_seen_enough_harms_nobody() -> None:
    line = f"{sys.executable} -m forebay completion bash | head -c 1"
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False
    )
    assert found.stderr == ""
