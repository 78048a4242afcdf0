"""What a training tells about itself while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Listener: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Receives events: `kind` is `progress` (with `step`, `fraction`, `text`), `log` (`text`) or `metric`."""


def silence(_event: Mapping[str, Any]) -> None:
    """The listener of somebody who does not listen."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Words a listener's events."""

    listener: Listener
    step: str

    def progress(self, fraction: float, text: str) -> None:
        """How far this step is (0 to 1), and at what."""
        told = {"kind": "progress", "step": self.step, "fraction": round(fraction, 4), "text": text}
        self.listener(told)

    def log(self, text: str) -> None:
        """Something worth knowing."""
        self.listener({"kind": "log", "step": self.step, "text": text})

    def metric(self, name: str, value: float, **about: Any) -> None:
        """A number that was measured."""
        self.listener({"kind": "metric", "step": self.step, "name": name, "value": value, **about})
