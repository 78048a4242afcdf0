"""Vowpal Wabbit's lines as columns: `|a n:0.3 |b color=red` is a number `n` and a text `color`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forebay.core import DataType, Tensors
from forebay.core.errors import Malformed, Unsupported

JOINED = "x"
_DEFAULT = " "


@dataclass(frozen=True, slots=True)
class Feature:
    """A column: its namespace, its name there, and whether its values are texts."""

    space: str
    name: str
    text: bool

    def title(self, alone: bool) -> str:
        """What people call it: by its name where no other namespace has the same."""
        return self.name if alone or self.space == _DEFAULT else f"{self.space}^{self.name}"


Row = dict[Feature, float | str]


def read_line(line: str) -> Row:
    """The features of *line*; its label, importance and tag are passed over. Raises `Unsupported`."""
    row: Row = {}
    for part in line.split("|")[1:]:
        words = part.split()
        space = _DEFAULT if not words or part[:1].isspace() else words.pop(0)
        if ":" in space:
            raise Unsupported(f"the namespace {space!r} has a weight of its own; multiply its values with it")
        for word in words:
            feature, value = _feature(space, word)
            if feature in row:
                raise Unsupported(f"the line {line!r} has {feature.name!r} twice; give each feature once")
            row[feature] = value
    return row


def factor(text: str) -> tuple[Feature, str]:
    """A factor of a weight's name (`b^color=red`) as a feature, and the text that it stands for."""
    space, caret, name = text.partition("^")
    if not caret:
        space, name = _DEFAULT, text
    name, equals, value = name.partition("=")
    return Feature(space, name, bool(equals)), value


def columns_of(rows: Sequence[Row], more: Sequence[Feature]) -> tuple[Feature, ...]:
    """Every feature of *rows* and of *more*, once, in the order in which they come."""
    return tuple(dict.fromkeys([*(feature for row in rows for feature in row), *more]))


def titles(features: Sequence[Feature]) -> tuple[str, ...]:
    """What the columns are called."""
    names = [feature.name for feature in features]
    return tuple(feature.title(names.count(feature.name) == 1) for feature in features)


def tensors_of(rows: Sequence[Row], features: Sequence[Feature]) -> Tensors:
    """*rows* as the served model takes them: one matrix `x`, or a column each where there are texts."""
    names = titles(features)
    columns = {
        name: np.array(
            [[row.get(feature, "" if feature.text else 0.0)] for row in rows],
            dtype=object if feature.text else np.float32,
        )
        for name, feature in zip(names, features, strict=True)
    }
    if any(feature.text for feature in features):
        return columns
    return {JOINED: np.hstack(list(columns.values()))}


def datatype(feature: Feature) -> DataType:
    """How a column travels."""
    return DataType.BYTES if feature.text else DataType.FP32


def _feature(space: str, word: str) -> tuple[Feature, float | str]:
    name, colon, value = word.rpartition(":")
    name = name if colon else word
    try:
        number = float(value) if colon else 1.0
    except ValueError:
        raise Malformed(f"the feature {word!r} has no number behind its colon") from None
    stem, equals, text = name.partition("=")
    if not equals:
        return Feature(space, name, text=False), number
    if number != 1.0:
        raise Unsupported(
            f"the feature {word!r} is a text with a weight; give it the weight 1, or make it a number"
        )
    return Feature(space, stem, text=True), text
