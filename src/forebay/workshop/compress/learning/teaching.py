"""Hinton's lesson: learn from what the teacher thinks of every class, and from the truth."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.compress.drafts import Bench, Draft, TooLong, scores_of
from forebay.workshop.compress.graphs import put_weights
from forebay.workshop.compress.learning.lessons import Lessons
from forebay.workshop.compress.learning.module import Graph, before_softmax

TEMPERATURE = 3.0
MATCHED = "matched"
"""The tensor of a student that is to come out like the lessons' features, where they have some."""

_HINT = 0.5
_BATCH = 64
_LEAST_STEPS = 300  # few rows are looked at more often
_MOST_STEPS = 4000  # and many rows less often
_TINY = 1e-9
_LOOKS = (3, 30, 100)
_GRACE_S = 10.0  # what is nearly through may finish


def teach(
    draft: Draft, bench: Bench, lessons: Lessons, *, epochs: int, rate: float, alpha: float = 0.5
) -> Draft:
    """*draft* with weights that have learned.

    L = alpha·T²·KL(softmax(z_t / T) ‖ softmax(z_s / T)) + (1 - alpha)·CE(y, softmax(z_s)) (Hinton, Vinyals,
    Dean 2015); for numbers the squared error against both. Without truth alpha is 1. With features, their
    squared error besides (Romero et al. 2015). The rate rises and falls once: a constant one costs several
    points after pruning.
    """
    spec = scores_of(bench.info)
    assert spec is not None
    proto = draft.proto()
    wanted, soft = before_softmax(proto, spec.name)
    graph = Graph(proto, wanted, "" if lessons.features is None else MATCHED)
    lesson = _Lesson(graph, lessons, alpha if lessons.right is not None else 1.0, soft)
    steps = max(1, -(-len(lessons) // _BATCH))
    epochs = min(max(epochs, -(-_LEAST_STEPS // steps)), max(1, _MOST_STEPS // steps))
    with _alone():
        lesson.learn(epochs, rate, bench.seed, bench.until_s)
    put_weights(proto, graph.learned())
    return draft.with_proto(proto)


@contextmanager
def _alone() -> Iterator[None]:
    """One thread: how sums are shared out among several decides about their last bits."""
    import torch  # noqa: PLC0415 (heavy)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Pacer:
    """Sees after a few steps whether all of them fit into the time that is left."""

    def __init__(self, steps: int, until_s: float) -> None:
        self._left, self._until_s = steps, until_s
        self._done, self._began_s = 0, time.monotonic()

    def step(self) -> None:
        """One more is done; raises `TooLong`."""
        self._done, self._left = self._done + 1, self._left - 1
        if self._done not in _LOOKS or math.isinf(self._until_s):
            return
        now_s = time.monotonic()
        needed_s = (now_s - self._began_s) / self._done * self._left
        if now_s + needed_s > self._until_s + _GRACE_S:
            raise TooLong(f"it would learn for {needed_s:.0f} s more, for which no time is left")


class _Lesson:
    def __init__(self, graph: Graph, lessons: Lessons, alpha: float, soft: bool) -> None:
        import torch  # noqa: PLC0415 (heavy)

        self._torch, self._graph, self._alpha = torch, graph, alpha
        self._inputs = {name: torch.tensor(values) for name, values in lessons.inputs.items()}
        self._count = len(lessons)
        self._shares = None if lessons.shares is None else torch.tensor(lessons.shares, dtype=torch.float32)
        self._values = None if lessons.values is None else torch.tensor(lessons.values, dtype=torch.float32)
        self._right = None if lessons.right is None else torch.tensor(lessons.right)
        hints = lessons.features
        self._features = None if hints is None else torch.tensor(hints, dtype=torch.float32)
        self._logits = soft or (lessons.shares is not None and not _are_shares(self._first()))

    def learn(self, epochs: int, rate: float, seed: int, until_s: float) -> None:
        torch = self._torch
        steps = max(1, -(-self._count // _BATCH))
        pacer = _Pacer(epochs * steps, until_s)
        optimiser = torch.optim.AdamW(list(self._graph.weights.values()), lr=rate, weight_decay=1e-4)
        pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, epochs=epochs, steps_per_epoch=steps)
        draw = np.random.default_rng(seed)
        for _ in range(epochs):
            order = draw.permutation(self._count)
            for start in range(0, steps * _BATCH, _BATCH):
                optimiser.zero_grad()
                self._loss(torch.tensor(order[start : start + _BATCH])).backward()
                torch.nn.utils.clip_grad_norm_(list(self._graph.weights.values()), 1.0)
                optimiser.step()
                pace.step()
                pacer.step()

    def _first(self) -> Array:
        with self._torch.no_grad():
            found = self._graph({name: values[:32] for name, values in self._inputs.items()})
        return np.asarray(found.numpy())

    def _loss(self, rows: Any) -> Any:
        said, matched = self._graph.both({name: values[rows] for name, values in self._inputs.items()})
        loss = self._loss_of(said.reshape(len(rows), -1), rows)
        if self._features is None:
            return loss
        return loss + _HINT * self._torch.nn.functional.mse_loss(matched, self._features[rows])

    def _loss_of(self, said: Any, rows: Any) -> Any:
        torch, functional = self._torch, self._torch.nn.functional
        right = None if self._right is None else self._right[rows]
        if self._shares is None:
            assert self._values is not None
            loss = self._alpha * functional.mse_loss(said, self._values[rows])
            return (
                loss if right is None else loss + (1 - self._alpha) * functional.mse_loss(said, right.float())
            )
        logits = said if self._logits else torch.log(said.clamp_min(_TINY))
        teacher = torch.softmax(torch.log(self._shares[rows].clamp_min(_TINY)) / TEMPERATURE, dim=1)
        student = torch.log_softmax(logits / TEMPERATURE, dim=1)
        loss = self._alpha * TEMPERATURE**2 * functional.kl_div(student, teacher, reduction="batchmean")
        return loss if right is None else loss + (1 - self._alpha) * functional.cross_entropy(logits, right)


def _are_shares(values: Array) -> bool:
    return values.ndim == 2 and bool(values.min() >= 0 and np.allclose(values.sum(axis=1), 1, atol=1e-3))
