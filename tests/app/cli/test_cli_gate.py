"""What a model keeps, from a shell: a real hub and a real node, on both databases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import forebay
from support.instance import Instance
from support.shell import Shell
from support.small_networks import artifact, parquet

pytestmark = pytest.mark.slow

WHY = ("--override", "for the fair on Saturday")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model's name that no other test has."""
    return f"m{abs(hash(request.node.nodeid)) % 10**9}"


@pytest.fixture
def shell(shared_forebay: Instance) -> Shell:
    """The terminal of an administrator."""
    return Shell.on(shared_forebay)


@pytest.fixture
def developer(shared_forebay: Instance, shell: Shell) -> Shell:
    """The terminal of somebody who may deploy, and not override."""
    key = shell.json("keys", "create", "--role", "developer")["secret"]
    url = {"FOREBAY_URL": shared_forebay.hub_url, "FOREBAY_KEY": key}
    return Shell(shared_forebay.environ | url)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two artifacts that answer differently."""
    rows, species = load_iris(return_X_y=True)
    made = [tmp_path_factory.mktemp(f"c{c}") / "model" for c in (1, 2)]
    for c, folder in enumerate(made, 1):
        forebay.convert(LogisticRegression(C=c, max_iter=500).fit(rows, species), rows).save(folder)
    return made


@pytest.fixture
def published(shell: Shell, name: str, folders: list[Path]) -> str:
    """A model with an original, and a second version that nobody has measured."""
    for folder in folders:
        shell.run("publish", str(folder), "--name", name)
    return name


def test_a_promise_is_made_shown_and_guards_what_is_deployed(developer: Shell, published: str) -> None:
    kept = developer.json("keep", published, "accuracy>=-.5", "--of", "1")
    assert (kept["promises"], kept["of"], kept["data"]) == (["accuracy>=-0.5"], 1, "")
    shown = developer.run("keep", published).stdout
    assert "accuracy>=-0.5" in shown
    assert "of the first proof" in shown
    developer.run("deploy", f"{published}:1")
    line = developer.refused("deploy", f"{published}:2")
    assert f"the deployment '{published}' refuses version 2" in line
    assert "it has no evidence of what it lost against version 1, and accuracy>=-0.5 is to be kept" in line


def test_a_promise_comes_too_late_for_what_answers_and_says_so(shell: Shell, published: str) -> None:
    shell.run("deploy", f"{published}:2")
    told = shell.run("keep", published, "accuracy>=-0.5", "--of", "1").stdout
    assert "version 2 goes on answering without proof" in told
    assert "version 2 goes on answering without proof" in shell.run("deploy", f"{published}:2").stdout
    assert shell.json("predict", published)["version"] == 2


def test_an_override_needs_somebody_who_may_and_stands_in_the_audit(
    shell: Shell, developer: Shell, published: str
) -> None:
    shell.run("keep", published, "accuracy>=-0.5", "--of", "1")
    assert "this key may not override" in developer.refused("deploy", f"{published}:2", *WHY)
    shell.run("deploy", f"{published}:2", *WHY)
    mine = [entry for entry in shell.json("audit") if entry["subject"] == f"{published}:2"]
    assert [entry["detail"]["reason"] for entry in mine] == ["for the fair on Saturday"]
    assert "reason: for the fair on Saturday" in shell.run("audit", "--limit", "5").stdout
    assert "may not audit" in developer.refused("audit")
    oldest = shell.json("audit")[-1]["number"]
    assert shell.run("audit", "--before", str(oldest)).stderr == "Nothing stands in the audit yet.\n"


def test_a_protected_alias_is_guarded(shell: Shell, developer: Shell, published: str) -> None:
    line = developer.refused("alias", f"{published}:1", "champion", "--protected")
    assert f'forebay keep {published} "accuracy>=-0.5"' in line
    developer.run("keep", published, "accuracy>=-0.5", "--of", "1")
    developer.run("alias", f"{published}:1", "champion", "--protected")
    [listed] = developer.json("alias", published)
    assert (listed["name"], listed["version"], listed["protected"]) == ("champion", 1, True)
    assert "yes" in developer.run("alias", published).stdout
    assert developer.json("keep", published)["protected"] == ["champion"]
    assert "the alias 'champion' refuses" in developer.refused("alias", f"{published}:2", "champion")
    assert "is protected" in developer.refused("alias", f"{published}@champion", "--delete")
    assert "may not override" in developer.refused("alias", f"{published}@champion", "--unprotected", *WHY)
    shell.run("alias", f"{published}@champion", "--unprotected", *WHY)
    developer.run("alias", f"{published}:2", "champion")


def test_a_promise_is_loosened_or_taken_back_with_a_reason_only(
    shell: Shell, developer: Shell, published: str
) -> None:
    shell.run("keep", published, "accuracy>=-0.5", "--of", "1")
    looser = ("keep", published, "accuracy>=-5")
    assert "keeps accuracy>=-0.5 against version 1 already" in developer.refused(*looser)
    assert "may not override" in developer.refused(*looser, *WHY)
    assert shell.json(*looser, *WHY)["promises"] == ["accuracy>=-5"]
    assert "say why" in shell.refused("keep", published, "--clear")
    assert "contradict each other" in shell.refused(*looser, "--clear", *WHY)
    assert "keeps nothing any more" in shell.run("keep", published, "--clear", *WHY).stdout
    assert "keeps nothing yet" in shell.refused("keep", published)


def test_what_makes_no_sense_is_said(shell: Shell, published: str) -> None:
    assert "what is" in shell.refused("keep", published, "--of", "1")
    assert "did you mean 'accuracy'?" in shell.refused("keep", published, "acuracy>=-1")
    assert "which alias" in shell.refused("alias", published, "--protected")


@pytest.mark.timeout(300)
def test_what_a_hub_has_made_smaller_passes_the_gate_by_itself(
    developer: Shell, name: str, tmp_path: Path
) -> None:
    """The whole way: a promise, the rows to prove it on, a search at the hub, a deployment."""
    data = ("--data", str(parquet(tmp_path / "eval.parquet")), "--target", "digit", "--slice", "half")
    developer.run("publish", str(artifact(tmp_path / "artifact")), "--name", name)
    developer.run("keep", name, "accuracy>=-4", *data)
    developer.run("alias", f"{name}:1", "champion", "--protected")
    developer.run("deploy", f"{name}@champion")
    search = ("--keep", "accuracy>=-3", "--for", "size", "--time-budget", "15s")
    made = developer.json("compress", name, *data, *search)
    assert made["evidence"][0]["data_digest"] == developer.json("keep", name)["data"]
    developer.run("alias", f"{name}:2", "champion")
    assert developer.json("deploy", f"{name}@champion")["notes"] == []


def test_the_audit_is_proved_and_exported(shell: Shell, developer: Shell) -> None:
    assert "may not projects" in developer.refused("audit", "verify")
    said = shell.run("audit", "verify").stdout
    assert "no faults; the chain ends with" in said
    head = said.split()[-1]
    assert shell.json("audit", "verify", "--known", head)["faults"] == []
    lines = [json.loads(line) for line in shell.run("audit", "export", "--everywhere").stdout.splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[int(head.split(":")[0]) - 1]["hash"] == head.split(":")[1]
    forged = f"{head.split(':')[0]}:{'0' * 64}"
    done = shell.run("audit", "verify", "--known", forged, check=False)
    assert done.returncode == 1
    assert "is another than the one that was noted" in done.stdout
    assert "find out who could write to the database" in done.stderr
