"""What is learned from: rows, what the original says to them, and the truth where it is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, answers


@dataclass(frozen=True, slots=True)
class Lessons:
    """Rows with their answers.

    `shares` [n, classes] are the teacher's probabilities, or `values` [n, k] its numbers. `right` are
    column numbers of the true classes, or numbers like `values`; None where nobody knows. `features` [n, k]
    are what the teacher computes last before it answers, for a student that is to see rows as it does.
    """

    inputs: Tensors
    shares: Array | None
    values: Array | None
    right: Array | None
    features: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @classmethod
    def of(cls, bench: Bench, inputs: Tensors | None = None, truth: Array | None = None) -> Lessons:
        """The tuning rows, or others, as the original answers them."""
        rows = bench.tune.inputs if inputs is None else inputs
        truth = bench.tune.truth if inputs is None else truth
        said = answers(bench.info, bench.ask(rows), bench.tune.truth)
        if said.labels is None:
            right = None if truth is None else truth.reshape(len(truth), -1).astype(np.float64)
            return cls(rows, None, said.values, right)
        if said.scores is None:
            raise Unsupported("the original gives no score for each class, which a student learns from")
        return cls(rows, said.scores, None, _columns(truth, said.classes))


def _columns(truth: Array | None, classes: tuple[str, ...]) -> Array | None:
    if truth is None:
        return None
    places = {label: place for place, label in enumerate(classes)}
    unknown = sorted(set(map(str, truth)) - places.keys())
    if unknown:
        raise Unsupported(f"the data has classes that the model does not know: {', '.join(unknown[:5])}")
    return np.array([places[str(label)] for label in truth], dtype=np.int64)
