"""What a small network is, whichever framework it is built with: its settings and its data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.estimators.offer import CLASSES, QUANTILES, Asked, Range, Space
from forebay.workshop.train.estimators.pace import ONECYCLE, SCHEDULES
from forebay.workshop.train.estimators.precision import AUTO, PRECISIONS

MLP_SPACE: Space = {
    "width": (32, 64, 128, 256),
    "layers": (1, 2, 3),
    "dropout": Range(0.0, 0.5),
    "learning_rate": Range(3e-4, 1e-2, log=True),
    "weight_decay": Range(1e-5, 1e-1, log=True),
    "batch": (32, 64, 128),
}
CNN_SPACE: Space = {
    "channels": (16, 24),
    "dropout": Range(0.0, 0.5),
    "learning_rate": Range(1e-3, 1e-2, log=True),
    "weight_decay": Range(1e-4, 1e-1, log=True),
}
OPTIMIZERS = ("adamw", "adam", "sgd")
_VALIDATED_ROWS = 500


@dataclass(frozen=True, slots=True)
class Settings:
    """How a network is built and taught. `patience` epochs without a better validation loss end it.

    `schedule` is `onecycle` (Smith, 2018), `cosine` or `constant`; `optimizer` is `adamw`, `adam` or
    `sgd`. `shift` moves an image's pixels by up to so many at random while it is learnt.
    `precision` is `float32`, `bfloat16`, or `auto`: the latter where this machine gains by it.
    """

    epochs: int = 40
    batch: int = 64
    width: int = 64
    layers: int = 2
    channels: int = 16
    dropout: float = 0.1
    optimizer: str = "adamw"
    schedule: str = ONECYCLE
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    patience: int = 8
    shift: int = 2
    smoothing: float = 0.0
    precision: str = AUTO

    def __post_init__(self) -> None:
        """Refuse words that nobody knows, instead of taking another one for them."""
        for word, known in (
            (self.optimizer, OPTIMIZERS),
            (self.schedule, SCHEDULES),
            (self.precision, PRECISIONS),
        ):
            if word not in known:
                raise ValueError(f"there is no {word!r}; there is {', '.join(known)}")


@dataclass(slots=True)
class Task:
    """What one network answers: classes (codes 0, 1, …), numbers, or one quantile of them."""

    asked: Asked
    kind: str
    settings: Settings
    classes: int = 1
    centre: float = 0.0
    spread: float = 1.0
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def outputs(self) -> int:
        """How many numbers the last layer gives."""
        return self.classes if self.kind == CLASSES else 1

    def learn_target(self, target: Array) -> Array:
        """The target as the loss wants it; numbers are centred and scaled."""
        if self.kind == CLASSES:
            self.classes = max(2, int(target.max()) + 1)
            return np.asarray(target, dtype=np.int64)
        self.centre, self.spread = float(target.mean()), float(target.std()) or 1.0
        return ((target - self.centre) / self.spread).astype(np.float32).reshape(-1, 1)

    @property
    def quantile(self) -> float | None:
        """Which one, where it is one."""
        return self.asked.quantile if self.kind == QUANTILES else None

    def told(self, epoch: int, loss: float, validation: float | None) -> None:
        """Keep the epoch's figures, and show them to whoever watches."""
        figures = {"loss": loss} if validation is None else {"loss": loss, "validation_loss": validation}
        self.curve.append({"epoch": float(epoch), **figures})
        if self.asked.watch is not None:
            self.asked.watch(epoch, self.settings.epochs, figures)


def settings_for(asked: Asked, without: tuple[str, ...], **own: Any) -> Settings:
    """The defaults, what the estimator has of its own, and what was asked for; it lacks *without*."""
    strange = [name for name in without if name in asked.params]
    if strange:
        raise ValueError(f"it has no {' and no '.join(strange)}; leave that out")
    return Settings(**{**own, **asked.params})


def split_validation(rows: int, seed: int) -> tuple[Array, Array]:
    """Row numbers to learn from, and a tenth to stop by; none of the latter where there are few rows."""
    order = np.random.default_rng(seed).permutation(rows)
    count = rows // 10 if rows >= _VALIDATED_ROWS else 0
    return order[count:], order[:count]
