"""What somebody sees who looks: drawn tables, a bar that leaves nothing, colours unless unwanted."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import forebay
from support.instance import Instance

pytestmark = pytest.mark.slow

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOURS = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;)[0-9;]*m")


def seen(instance: Instance, *words: str, **environ: str) -> str:
    """Everything that `forebay …` writes to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "forebay", *words],
        env=instance.environ | {"TERM": "xterm-256color", "COLUMNS": "100"} | environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other end is gone
        pass
    os.close(ours)
    assert process.wait(30) == 0, shown
    return shown.decode().replace("\r\n", "\n")


def test_a_life_on_a_terminal(forebay_up: Instance, tmp_path: Path) -> None:
    iris, species = load_iris(return_X_y=True)
    forebay.convert(LogisticRegression(max_iter=500).fit(iris, species), iris).save(tmp_path / "iris")
    published = seen(forebay_up, "publish", str(tmp_path / "iris"), "--name", "iris")
    assert "uploading" in published  # the bar
    assert "Next: forebay deploy iris:1" in published
    deployed = seen(forebay_up, "deploy", "iris")
    [call] = [line for line in deployed.splitlines() if "curl " in line]  # unbroken, however long
    assert call.endswith("'")
    listed = CODES.sub("", seen(forebay_up, "models"))
    assert "───" in listed
    assert re.search(r"Model +Latest", listed)
    card = CODES.sub("", seen(forebay_up, "show", "iris"))
    assert "Takes and gives" in card
    assert "##" not in card  # Markdown was drawn
    assert COLOURS.search(seen(forebay_up, "train", "--help") + published)
    assert not COLOURS.search(seen(forebay_up, "deploy", "iris", NO_COLOR="1"))
