"""Points in time as people type them, or a sentence."""

from __future__ import annotations

import click
import pytest

from forebay.app.cli.moments import Duration, Moment


@pytest.mark.parametrize("text", ["yesterday", "9999999w", "2026-13-01", "", "7y", "-3d"])
@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_no_time_is_said_to_be_none(text: str, ahead: bool) -> None:
    with pytest.raises(click.BadParameter, match=r"is no time; write 2026-11-21"):
        Moment(ahead=ahead).convert(text, None, None)


@pytest.mark.parametrize("text", ["", "soon", "5", "3y"])
def test_what_is_no_duration_is_said_to_be_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is no duration; write 90s"):
        Duration().convert(text, None, None)
