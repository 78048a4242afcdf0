"""Slow work, seen."""

from __future__ import annotations

import io

from forebay.client import LineProgress, NoProgress
from forebay.client.progress import InPlaceProgress, progress_for


def test_a_log_gets_each_step_once() -> None:
    log = io.StringIO()
    with LineProgress(log) as shown:
        for text in ("converting", "converting", "uploading"):
            shown.step(text)
        shown.at(0.5)
    assert log.getvalue() == "converting\nuploading\n"


def test_a_notebook_gets_one_line_that_leaves_nothing_behind() -> None:
    line = io.StringIO()
    with InPlaceProgress(line) as shown:
        shown.step("uploading")
        shown.at(0.5)
        shown.step("ok")
    parts = line.getvalue().split("\r")
    assert parts[1:3] == ["uploading", "uploading 50%"]
    assert parts[3] == "ok".ljust(len("uploading 50%"))
    assert parts[-2:] == ["  ", ""]


def test_a_program_that_nobody_watches_is_told_nothing() -> None:
    assert isinstance(progress_for(False), NoProgress)
    assert isinstance(progress_for(True), InPlaceProgress)
    own = LineProgress(io.StringIO())
    assert progress_for(own) is own
