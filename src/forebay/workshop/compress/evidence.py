"""The evidence of a compression: one document that a gate can read and a person can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from forebay.core import Array
from forebay.workshop.compress.keep import Finding, Sight, Verdict, standing
from forebay.workshop.compress.keep.metrics import METRICS
from forebay.workshop.compress.tried import Cost, Tried

FORMAT = 1
TIMES = "\N{MULTIPLICATION SIGN}"
_MOST_EXAMPLES = 24
_MOST_CLASSES = 200


class ClassLine(msgspec.Struct, frozen=True):
    """One class, or one value of a slice: rows, and figures before and after, in points."""

    name: str
    rows: int
    before: float
    after: float


class Example(msgspec.Struct, frozen=True):
    """A row on which old and new disagree; `row` counts in the data as it was given."""

    row: int
    truth: str
    before: str
    after: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was promised, on which data, what was found, and how to make the version again.

    `findings` are of the final part, at the batch size where they are worst; `by_batch` says how the
    promises stand at each. `costs` are of one race between the version and its source.
    """

    kind: str = "compression"
    format: int = FORMAT
    keep: tuple[str, ...]
    goal: str
    verdict: Verdict
    sentence: str
    recipe: tuple[str, ...]
    seed: int
    digest: str
    source_digest: str
    data_digest: str
    parts: Mapping[str, Mapping[str, object]]
    unlabelled: bool
    findings: tuple[Finding, ...]
    worst_batch: int
    by_batch: Mapping[int, Verdict]
    classes: tuple[ClassLine, ...]
    slices: Mapping[str, tuple[ClassLine, ...]]
    examples: tuple[Example, ...]
    disk_bytes: int
    source_disk_bytes: int
    memory_bytes: int
    source_memory_bytes: int
    costs: tuple[Cost, ...]
    source_costs: tuple[Cost, ...]
    energy: str
    machine: Mapping[str, object]
    tried: tuple[Tried, ...]
    forebay: str

    @property
    def kept(self) -> bool:
        """Whether every promise is proved."""
        return self.verdict is Verdict.KEPT

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def decode(cls, data: bytes) -> Evidence:
        """From JSON."""
        return msgspec.json.decode(data, type=cls)


def times(ratio: float) -> str:
    """A ratio to two digits, as people write them: 4.8 times, 1,500 times."""
    return f"{float(f'{ratio:.2g}'):,.10g} {TIMES}"


def sentence(findings: Sequence[Finding], faster: float, smaller: float) -> str:
    """`4.8 x faster, 3.9 x smaller, accuracy 98.1 → 97.9 (…); promise kept`."""
    verdict = standing(findings)
    told = "; ".join(finding.figures for finding in findings)
    speed = f"{times(faster)} faster" if faster >= 1 else f"{times(1 / faster)} slower"
    size = f"{times(smaller)} smaller" if smaller >= 1 else f"{times(1 / smaller)} larger"
    if verdict is Verdict.KEPT:
        end = "promise kept" if len(findings) == 1 else f"all {len(findings)} promises kept"
    else:
        bad = next(finding for finding in findings if finding.verdict is verdict)
        end = bad.sentence.rpartition("; ")[2]
    return f"{speed}, {size}, {told}; {end}"


def by_class(sight: Sight) -> tuple[ClassLine, ...]:
    """Recall of each true class, or agreement where nobody knows the truth; nothing for numbers."""
    if sight.said.labels is None:
        return ()
    kinds, counts = np.unique(sight.kinds, return_counts=True)
    lines = (
        _line(str(kind), sight.take(np.flatnonzero(sight.kinds == kind))) for kind in kinds[:_MOST_CLASSES]
    )
    assert len(counts) == len(kinds)
    return tuple(lines)


def by_slice(sight: Sight) -> dict[str, tuple[ClassLine, ...]]:
    """The same for each value of each slice."""
    if sight.said.labels is None:
        return {}
    return {
        name: tuple(
            _line(str(value), sight.take(np.flatnonzero(values == value)))
            for value in np.unique(values)[:_MOST_CLASSES]
        )
        for name, values in ((name, found.astype(str)) for name, found in sight.slices.items())
    }


def _line(name: str, sight: Sight) -> ClassLine:
    figure = METRICS["agreement" if sight.truth is None else "accuracy"].figure
    return ClassLine(name, len(sight), 100 * figure(sight.before), 100 * figure(sight))


def disagreeing(sight: Sight, rows: Array) -> tuple[Example, ...]:
    """Rows on which the two answer differently, those that became wrong first; *rows* are their numbers."""
    said, reference = sight.said, sight.reference
    if said.labels is not None and reference.labels is not None:
        differ = np.flatnonzero(said.labels != reference.labels)
        if sight.truth is not None:
            lost = reference.labels[differ] == sight.truth[differ]
            differ = differ[np.argsort(~lost, kind="stable")]
        return _examples(differ, rows, sight.truth, reference.labels, said.labels)
    assert said.values is not None
    assert reference.values is not None
    apart = np.abs(said.values - reference.values).max(axis=1)
    differ = np.argsort(-apart, kind="stable")[: int(np.count_nonzero(apart))]
    return _examples(differ, rows, sight.truth, reference.values, said.values)


def _examples(
    places: Array, rows: Array, truth: Array | None, before: Array, after: Array
) -> tuple[Example, ...]:
    return tuple(
        Example(
            int(rows[place]),
            "" if truth is None else _text(truth[place]),
            _text(before[place]),
            _text(after[place]),
        )
        for place in places[:_MOST_EXAMPLES]
    )


def _text(value: Any) -> str:
    array = np.atleast_1d(np.asarray(value))
    if array.dtype.kind == "f":
        return ", ".join(f"{each:.5g}" for each in array[:4])
    return str(array[0])
