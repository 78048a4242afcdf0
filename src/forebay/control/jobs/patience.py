"""Waiting for a database that is away, and stopping when the hub stops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from forebay.core.errors import NotReady

_log = logging.getLogger("forebay.jobs")
_PAUSE_S = 0.5
Value = TypeVar("Value")


class Stopping(BaseException):
    """The hub stops: the job is left as it is, and goes on when the hub is back.

    No `Exception`, so that neither a step nor the durable engine takes it for an outcome.
    """


class Patience:
    """What everybody who works on jobs shares: whether to go on."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def end(self) -> None:
        """Nobody goes on from now."""
        self._stopping.set()

    def check(self) -> None:
        """Raise `Stopping` once it is time."""
        if self._stopping.is_set():
            raise Stopping

    def until_done(self, do: Callable[[], Value]) -> Value:
        """Do it again while the database is away: an accepted job is not lost to that."""
        while True:
            self.check()
            try:
                return do()
            except NotReady as error:
                _log.warning("a job waits: %s", error)
                self._stopping.wait(_PAUSE_S)
