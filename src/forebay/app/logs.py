"""How every process of Forebay writes its log: one line an event, in UTC, and never a key."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import TextIO

_KEY = re.compile(r"\b(fb-[0-9a-f]{8})-[A-Za-z0-9_-]{4,}")
_LINE = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s"


def redacted(text: str) -> str:
    """*text* without secrets; the public part of a key stays, so that one can see whose it was.

    >>> redacted("refused fb-0a1b2c3d-Zm9yZWJheQ of 10.0.0.7")
    'refused fb-0a1b2c3d-… of 10.0.0.7'
    """
    return _KEY.sub(r"\1-…", text)


class Formatter(logging.Formatter):
    """One line in UTC; tracebacks follow on their own lines. Keys are redacted in all of it."""

    def __init__(self) -> None:
        super().__init__(_LINE, "%Y-%m-%dT%H:%M:%S")

    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        """UTC, where the standard formatter writes local time."""
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        """The line for *record*."""
        return redacted(super().format(record))


def start_logging(level: str, stream: TextIO | None = None) -> None:
    """Write everything from *level* on to *stream* (standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for chatty in ("httpx", "httpcore", "alembic", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
