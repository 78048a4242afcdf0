"""Small pictures made of characters, and the stage on which they are shown."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from forebay.app.demo import Stage
from forebay.app.demo.pictures import bar, image, shades


@given(share=st.floats(-1, 2), width=st.integers(1, 60))
def test_a_bar_is_always_as_wide_as_its_place(share: float, width: int) -> None:
    assert len(bar(share, width)) == width


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_a_larger_share_never_has_a_shorter_bar(shares: list[float]) -> None:
    small, large = (len(bar(share, 20).rstrip()) for share in sorted(shares))
    assert small <= large


def test_an_image_keeps_its_proportions_at_twice_the_size() -> None:
    lines = image(np.arange(64).reshape(8, 8), 63)
    assert len(lines) == 8  # a character is about twice as high as it is wide
    assert {line.plain for line in lines} == {"▀" * 16}


def test_dark_is_dark_and_bright_is_bright() -> None:
    values = np.zeros((2, 2))
    values[0, 0] = 16
    [first, *_] = image(values, 16)[0].spans
    *_, last = image(values, 16)[1].spans
    assert "#8fd3ff" in str(first.style)
    assert "#101824" in str(last.style)


def test_without_colours_five_shades_do() -> None:
    assert shades(np.array([[0, 4], [12, 16]]), 16) == ["  ░░", "▓▓██"]


def test_a_story_in_a_log_is_plain_text_without_trailing_blanks() -> None:
    log = io.StringIO()
    stage = Stage(Console(file=log))
    stage.title("Forebay", "a story")
    with stage.step("Do it") as step:
        step.at("halfway")
        step.tell("it is [bold]done[/]")
        step.show(Text("in colours"), Text("in shades"))
    stage.end("try it", "curl URL -H 'K: v' -d '{}'")
    text = log.getvalue()
    assert "\x1b" not in text
    assert "    it is done\n    in shades\n" in text
    assert "halfway" not in text
    assert text.endswith("curl URL \\\n  -H 'K: v' \\\n  -d '{}'\n")


def test_the_picture_has_the_colours_that_the_terminal_had_not(tmp_path: Path) -> None:
    stage = Stage(Console(file=io.StringIO()), tmp_path / "story.svg")
    with stage.step("Do it") as step:
        step.show(Text("painted", "#8fd3ff"), Text("in shades"))
    stage.close()
    drawn = (tmp_path / "story.svg").read_text()
    assert "painted" in drawn
    assert "#8fd3ff" in drawn
    assert "shades" not in drawn
