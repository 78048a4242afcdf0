"""Logs: one line an event, in UTC, and never a key."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from forebay.app.logs import start_logging
from forebay.core import new_key


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    written = io.StringIO()
    yield written
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_an_event_is_one_line_with_its_time_in_utc(stream: io.StringIO) -> None:
    start_logging("info", stream)
    logging.getLogger("forebay.hub").info("listening on %s", "127.0.0.1:8080")
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    forebay\.hub: listening on 127\.0\.0\.1:8080\n"
    assert re.fullmatch(line, stream.getvalue())


def test_no_key_gets_into_a_log_however_it_is_logged(stream: io.StringIO) -> None:
    start_logging("debug", stream)
    key = new_key()
    log = logging.getLogger("forebay.node")
    log.warning("refused %s", key.secret)
    try:
        int(f"Bearer {key.secret}")
    except ValueError:
        log.exception("failed")
    assert key.secret not in stream.getvalue()
    assert stream.getvalue().count(f"fb-{key.id}-…") == 2


def test_what_is_below_the_level_is_left_out(stream: io.StringIO) -> None:
    start_logging("warning", stream)
    logging.getLogger("forebay.hub").info("nothing to see")
    logging.getLogger("httpx").info("nor here")
    assert stream.getvalue() == ""
