"""What a figure is computed from: the truth, what a model answered, what the original answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from forebay.core import Array


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said to n rows.

    `labels` [n] are the classes it chose, `scores` float [n, classes] how sure it was of each of
    `classes`; `values` float [n, k] are the numbers of a regression or an embedding.
    """

    labels: Array | None = None
    scores: Array | None = None
    values: Array | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        for array in (self.labels, self.scores, self.values):
            if array is not None:
                return len(array)
        return 0

    def take(self, rows: Array) -> Answers:
        """Only the answers to these rows."""
        return replace(
            self,
            labels=None if self.labels is None else self.labels[rows],
            scores=None if self.scores is None else self.scores[rows],
            values=None if self.values is None else self.values[rows],
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """One model's answers beside the truth and the original's answers, row by row.

    `truth` holds labels as `str`, or numbers as float; None without labels. `focus` is the class that is
    asked about. `slices` hold a name for each row.
    """

    truth: Array | None
    said: Answers
    reference: Answers
    slices: Mapping[str, Array] = field(default_factory=dict)
    focus: str = ""

    def __len__(self) -> int:
        return len(self.said)

    def take(self, rows: Array) -> Sight:
        """Only these rows, repeated where they are repeated."""
        return replace(
            self,
            truth=None if self.truth is None else self.truth[rows],
            said=self.said.take(rows),
            reference=self.reference.take(rows),
            slices={name: values[rows] for name, values in self.slices.items()},
        )

    @property
    def coded(self) -> Sight:
        """The same with numbers for labels, which are compared a hundred times faster than texts."""
        said, reference = self.said.labels, self.reference.labels
        if said is None or reference is None:
            return self
        texts = [said, reference] if self.truth is None else [said, reference, self.truth]
        kinds, codes = np.unique(np.concatenate(texts), return_inverse=True)
        parts = np.split(codes, np.cumsum([len(part) for part in texts])[:-1])
        focus = np.searchsorted(kinds, self.focus) if self.focus else 0
        known = bool(self.focus) and focus < len(kinds) and kinds[focus] == self.focus
        return replace(
            self,
            truth=None if self.truth is None else parts[2],
            said=replace(self.said, labels=parts[0]),
            reference=replace(self.reference, labels=parts[1]),
            focus=str(focus) if known else self.focus,
        )

    @property
    def before(self) -> Sight:
        """The original itself in the model's place."""
        return replace(self, said=self.reference)

    @property
    def kinds(self) -> Array:
        """The class of each row: the true one, or what the original says where the truth is unknown."""
        found = self.truth if self.truth is not None else self.reference.labels
        return np.array([], dtype=str) if found is None else found
