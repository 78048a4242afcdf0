"""What a check is given, and what it says."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property

import msgspec

from forebay.app.settings import Settings
from forebay.app.supervisor import Home, Running


class State(StrEnum):
    """How bad it is: nothing, something that will break, something that is broken."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """What a check saw, and what to do about it."""

    state: State
    what: str
    mend: str = ""

    @classmethod
    def ok(cls, what: str) -> Finding:
        """All is well."""
        return cls(State.OK, what)

    @classmethod
    def warn(cls, what: str, mend: str) -> Finding:
        """Nothing is broken yet."""
        return cls(State.WARN, what, mend)

    @classmethod
    def fail(cls, what: str, mend: str) -> Finding:
        """Something does not work."""
        return cls(State.FAIL, what, mend)


class Patient:
    """One Forebay: its settings, its home, and what runs from there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = Home(settings.home)

    @cached_property
    def running(self) -> Running | None:
        """What the supervisor of the home says; None when nothing runs from it."""
        return self.home.read()

    @property
    def hub_url(self) -> str | None:
        """The hub that this machine's commands would ask; None when they would find none."""
        if self.settings.url:
            return self.settings.hub_url
        return None if self.running is None else self.running.hub_url
