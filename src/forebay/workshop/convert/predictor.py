"""A fitted model of rows: the functions behind its outputs, asked of the model itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Tensors
from forebay.core.errors import Malformed
from forebay.workshop.convert.running import first_line


@dataclass(frozen=True, slots=True)
class Predictor:
    """A fitted model, its task, its classes in the order of its probabilities, and its answers by name."""

    model: Any
    task: str
    classes: tuple[Any, ...]
    functions: Mapping[str, Callable[[Any], Any]]

    def answer(self, table: Any) -> Tensors:
        """What the model itself says to the rows of *table*."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about NaN and unseen categories, which we ask on purpose
            return {name: np.asarray(ask(table)) for name, ask in self.functions.items()}

    def first_answer(self, table: Any) -> Tensors:
        """The same; a model that refuses rows of its own kind raises `Malformed`."""
        try:
            return self.answer(table)
        except Exception as error:  # frameworks raise classes of their own making
            raise Malformed(f"the model itself refuses the sample: {first_line(error)}") from error
