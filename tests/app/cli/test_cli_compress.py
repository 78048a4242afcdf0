"""`forebay compress`, from a published network to a smaller version that answers."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from forebay.app.cli.bar import BarProgress
from forebay.app.cli.compressing import _GOALS
from forebay.workshop.compress import Goal
from support.instance import Done, Instance
from support.shell import Shell
from support.small_networks import artifact, parquet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SEARCH = (
    "--target",
    "digit",
    "--slice",
    "half",
    "--keep",
    "accuracy>=-4",
    "--for",
    "size",
    "--time-budget",
    "15s",
)


@pytest.fixture
def shell(shared_forebay: Instance) -> Shell:
    return Shell.on(shared_forebay)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(parquet(tmp_path_factory.mktemp("data") / "eval.parquet"))


@pytest.fixture(scope="module")
def compressed(
    shared_forebay: Instance, data: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Done, Path]:
    """What `forebay compress` printed, and the report that it wrote."""
    folder = tmp_path_factory.mktemp("work")
    shell = Shell.on(shared_forebay)
    shell.run("publish", str(artifact(folder / "artifact")), "--name", "digits")
    report = folder / "report.html"
    return shell.run("compress", "digits:1", "--data", data, *SEARCH, "--report", str(report)), report


def test_the_best_candidates_and_one_sentence_are_shown(shell: Shell, compressed: tuple[Done, Path]) -> None:
    done, report = compressed
    *table, sentence = done.stdout.splitlines()
    assert table[0].split() == ["candidate", "time_alone", "time_in_32", "size", "stands", "figures"]
    assert "(taken)" in table[1]
    assert sentence.startswith("digits:2: ")
    assert sentence.endswith("promise kept")
    assert "Next: forebay deploy digits:2" in done.stderr
    assert "proving " in done.stderr
    assert any(line.startswith("fp16: ") for line in done.stderr.splitlines())
    assert "<svg" in report.read_text()


def test_the_new_version_tells_its_parent_its_sentence_and_answers(
    shell: Shell, compressed: tuple[Done, Path]
) -> None:
    page = shell.run("show", "digits:2").stdout
    assert "digits:1" in page
    assert "promise kept" in page
    shell.run("deploy", "digits:2")
    assert shell.json("show", "digits:2")["evidence"][0]["kind"] == "compression"
    [job] = [
        each for each in shell.json("jobs") if (each["kind"], each["state"]) == ("compress", "succeeded")
    ]
    log = shell.run("jobs", "log", job["id"]).stdout
    assert "trying fp16" in log
    assert "promise kept" in shell.run("jobs", "show", job["id"]).stdout


def test_what_cannot_be_is_said_in_one_sentence(
    shell: Shell, data: str, compressed: tuple[Done, Path]
) -> None:
    told = shell.refused("compress", "digits:1", "--data", data, "--keep", "accuracy>=0.5%")
    assert "needs a sign" in told
    told = shell.refused("compress", "digits:7", "--data", data, "--keep", "agreement>=99")
    assert "has no version 7" in told
    told = shell.refused("compress", "digits:1", "--data", data, "--keep", "accuracy>=-1")
    assert told.endswith("accuracy needs the right answers; name their column: --target COLUMN")
    told = shell.refused("compress", "digits", "--data", data)
    assert "'digits' keeps nothing yet" in told


def test_what_the_model_keeps_is_asked_for_where_nothing_is_said(
    shell: Shell, data: str, tmp_path: Path
) -> None:
    shell.run("publish", str(artifact(tmp_path / "artifact")), "--name", "keeping")
    shell.run("keep", "keeping", "accuracy>=-0.01")
    told = shell.refused("compress", "keeping", "--data", data, "--target", "figure")
    assert "there is no column 'figure'" in told
    [job] = [each for each in shell.json("jobs") if each["request"].get("model") == "keeping:1"]
    assert job["request"]["keep"] == "accuracy>=-0.01"


def test_the_goals_are_those_of_the_workshop() -> None:
    assert list(_GOALS) == list(Goal)


def test_on_a_terminal_the_candidates_are_a_table_that_grows() -> None:
    screen = io.StringIO()
    with BarProgress(screen) as bar:
        bar.candidate({"name": "slim", "outcome": "inapplicable", "reason": "as simple as can be"})
        measured = {"latency": 0.5, "throughput": 4.0, "size": 0.26, "verdict": "kept"}
        bar.candidate({"name": "int8-static", "outcome": "measured", **measured})
        bar.candidate({"name": "fp16", "outcome": "failed", "reason": "it dies"})
    shown = [line.split() for line in screen.getvalue().splitlines() if line.strip()]
    assert ["candidate", "alone", "in", "32", "size", "what", "of", "it"] in shown
    assert ["int8-static", "0.50", "0.25", "0.26", "kept"] in shown
    assert ["fp16", "failed:", "it", "dies"] in shown
    assert not any("slim" in line for line in shown)
