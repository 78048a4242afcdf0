"""Answers leave together: usage is written down first, once for all answers of a turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from forebay.core import UsageEvent
from forebay.core.errors import ForebayError
from forebay.serving.usage import Journal


class Letter(Protocol):
    """An answer that is ready, and the usage that has to be in the journal before it leaves."""

    @property
    def event(self) -> UsageEvent:
        """What is billed."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for it any more."""

    def send(self) -> None:
        """Let the answer leave."""

    def refuse(self, error: ForebayError) -> None:
        """Tell the caller *error* instead."""


class Outbox:
    """Where answers wait for the journal; never longer than to the end of this turn of the loop."""

    def __init__(self, journal: Journal, written: Callable[[], None]) -> None:
        self._journal = journal
        self._written = written
        self._letters: list[Letter] = []
        self._loop = asyncio.get_running_loop()

    def post(self, letter: Letter) -> None:
        """Send *letter* once its event is in the journal; if it cannot be, the caller hears why instead."""
        if not self._letters:
            self._loop.call_soon(self._flush)
        self._letters.append(letter)

    def _flush(self) -> None:
        letters, self._letters = self._letters, []
        present = [letter for letter in letters if not letter.gone]
        if not present:
            return
        try:
            self._journal.append([letter.event for letter in present])
        except ForebayError as error:
            for letter in present:
                letter.refuse(error)
            return
        self._written()
        for letter in present:
            letter.send()
