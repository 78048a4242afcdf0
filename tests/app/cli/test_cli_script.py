"""A training script of one's own, from a shell and by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.instance import Instance
from support.shell import Shell

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SCRIPT = """
import sys

import numpy as np
from sklearn.linear_model import Ridge

import forebay
from rows import rows

run = forebay.run("by-hand", alpha=1.0)
X = rows()
run.metric("alpha", run["alpha"], told=len(sys.argv))
if "nothing" not in sys.argv:
    run.publish(Ridge(alpha=run["alpha"]).fit(X, X[:, 0]), sample=X)
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return Instance(tmp_path_factory.mktemp("scripts"), allow_code=1)


@pytest.fixture(scope="module")
def shell(instance: Instance) -> Iterator[Shell]:
    instance.up()
    yield Shell.on(instance)
    instance.down()


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "rows.py").write_text(
        "import numpy as np\n\n\ndef rows():\n    return np.random.default_rng(0).normal(size=(50, 2))\n"
    )
    return str(tmp_path / "train.py")


def test_a_script_becomes_a_version(shell: Shell, script: str) -> None:
    beside = str(Path(script).with_name("rows.py"))
    words = ("--name", "sloped", "--with", beside, "--set", "alpha=0.5")
    version = shell.json("train", "--script", script, *words)
    assert (version["model"], version["version"]) == ("sloped", 1)
    assert version["lineage"]["parameters"] == {"alpha": 0.5}
    shell.run("deploy", "sloped")
    assert shell.run("predict", "sloped", "--input", "-", stdin="[[1.0, 0.0]]").stdout
    nothing = shell.run("train", "--script", script, "--with", beside, "--", "nothing")
    assert "published nothing" in nothing.stdout


def test_what_a_script_does_not_take_is_said(shell: Shell, script: str) -> None:
    refused = shell.run("train", "--script", script, "--time-budget", "2m", check=False)
    assert "--time-budget is for trainings of ours" in refused.stderr
    refused = shell.run("train", check=False)
    assert "name one file or folder to learn from" in refused.stderr
    failed = shell.run("train", "--script", script, check=False)
    assert "No module named 'rows'" in failed.stderr


def test_a_script_started_by_hand_takes_its_defaults_and_publishes_too(
    shell: Shell, instance: Instance, script: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, script], env=instance.environ | {"PYTHONWARNINGS": "default"}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "alpha 1 told=1" in done.stderr
    assert shell.json("versions", "by-hand")
    assert not (tmp_path / ".forebay-run").exists(), "no checkpoint was kept"


def test_a_hub_runs_no_script_unless_its_operator_says_so(shared_forebay: Instance, script: str) -> None:
    refused = Shell.on(shared_forebay).run("train", "--script", script, check=False)
    assert "FOREBAY_ALLOW_CODE=1" in refused.stderr
    assert "FOREBAY_ALLOW_CODE" not in os.environ
