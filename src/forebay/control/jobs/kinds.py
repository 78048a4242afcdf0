"""What a job is made of: a kind is a list of steps, and a step works in the hub or in a child process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Tell: TypeAlias = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Errand:
    """What a step that works in the hub is given. `output` exists, is empty, and is kept when it returns."""

    job_id: str
    project: str
    request: dict[str, Any]
    folder: Path
    output: Path
    tell: Tell


InHub: TypeAlias = Callable[[Errand], dict[str, Any] | None]
"""Does the step and may give the job's result. It may run twice, and has to come to the same then."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. With `in_hub` None it works in a child process, which `JobKind.command` starts.

    A `final` step is the one that others see the outcome of: once begun it is not cancelled.
    `weight` is its share of the job's progress. A child that goes on where it was is started again when
    something kills it, at most `restarts` times.
    """

    name: str
    in_hub: InHub | None = None
    final: bool = False
    weight: float = 1.0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of job.

    `check` gets the project and a request, and gives the request as it is kept, or raises `Malformed`.
    `command` is the child of a step: it reads `request.json` and the folders of earlier steps below the job's
    folder, fills the folder `STEP.part` and renames it to `STEP` when it is complete.
    """

    name: str
    steps: tuple[Step, ...]
    check: Callable[[str, dict[str, Any]], dict[str, Any]]
    command: Callable[[str, Path], list[str]]

    def step(self, name: str) -> Step:
        """The step called *name*."""
        return next(step for step in self.steps if step.name == name)

    def progress(self, name: str, fraction: float) -> float:
        """The job's progress when step *name* is done to *fraction*."""
        names = [step.name for step in self.steps]
        before = sum(step.weight for step in self.steps[: names.index(name)])
        total = sum(step.weight for step in self.steps)
        return (before + self.step(name).weight * min(max(fraction, 0.0), 1.0)) / total
