"""What a compression's evidence says of each promise, read without believing its summary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from forebay.core import MachineKind

_KEPT = "kept"
_SLACK = 1e-9
_MINUS = "\N{MINUS SIGN}"


class Promised(msgspec.Struct, frozen=True):
    """One promise of a model: a bound on the figure *subject*.

    `kind` says what is bounded: the `figure` itself, its `change` against the original, or that change in
    hundredths of it (`relative`). `bound` is the least where `larger` is better, else the most; it is in
    `unit` (`points`, `%`, or nothing).
    """

    text: str
    subject: str
    kind: str
    bound: float
    larger: bool
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether *value* is within the bound; nothing that is no number is."""
        return value >= self.bound - _SLACK if self.larger else value <= self.bound + _SLACK


class Measured(msgspec.Struct, frozen=True):
    """One figure of the evidence; what JSON had no number for is None."""

    promise: str
    subject: str
    kind: str
    bound: float
    larger: bool
    rows: int
    verdict: str
    change: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def worst(self) -> float:
        """The end of the interval that a bound is held against."""
        value = self.low if self.larger else self.high
        return math.nan if value is None else value


class Proof(msgspec.Struct, frozen=True):
    """What a gate reads of an entry of evidence."""

    verdict: str
    digest: str
    source_digest: str
    data_digest: str
    findings: tuple[Measured, ...]
    by_batch: Mapping[str, str]
    machine: MachineKind


def refusal_of(proof: Proof, promises: Sequence[Promised]) -> str:
    """Which of *promises* it does not prove, and by which figure; empty if it proves them all."""
    for promise in promises:
        if refusal := _unproved(promise, proof):
            return refusal
    for found in proof.findings:
        if found.verdict != _KEPT:
            return f"its own evidence says that {found.promise} is {found.verdict}"
    if not proof.by_batch:
        return "its evidence does not say in which batches its promises are kept"
    for size, verdict in proof.by_batch.items():
        if verdict != _KEPT:
            return f"its promises are {verdict} in batches of {size}"
    return "" if proof.verdict == _KEPT else f"its own evidence says {proof.verdict or 'nothing'}"


def _unproved(promise: Promised, proof: Proof) -> str:
    found = next((one for one in proof.findings if _alike(one, promise)), None)
    if found is None:
        there = ", ".join(dict.fromkeys(one.promise for one in proof.findings)) or "nothing"
        return f"{promise.text} is to be kept, and its evidence has no figure for that; it speaks of {there}"
    if found.change is None or not math.isfinite(found.change):
        return f"its evidence has no number for {promise.subject}, and {promise.text} is to be kept"
    if not promise.holds(found.change):
        return lost(promise, found.change)
    if not promise.holds(found.worst):
        return (
            f"{lost(promise, found.change)}, and on {found.rows} rows that may be chance: "
            f"{_interval(found, promise.unit)}; compress it again with more rows"
        )
    if len(proof.findings) > 1 and not promise.holds(found.bound):
        # beside other promises, the batch size that is told of need not be this figure's worst
        return (
            f"it was only held to {found.promise}, and {promise.text} is to be kept; compress it again "
            "with that"
        )
    return ""


def _alike(found: Measured, promise: Promised) -> bool:
    wanted = (promise.subject, promise.kind, promise.larger)
    return (found.subject, found.kind, found.larger) == wanted


def lost(promise: Promised, change: float) -> str:
    """What became of the figure, and what was allowed.

    >>> lost(Promised("accuracy>=-0.5", "accuracy", "change", -0.5, True, "points"), -0.8)
    'accuracy lost 0.8 points, 0.5 are allowed'
    >>> lost(Promised("rmse<=+2%", "rmse", "relative", 2.0, False, "%"), 3.25)
    'rmse grew by 3.25 %, 2 are allowed'
    >>> lost(Promised("agreement>=99", "agreement", "figure", 99.0, True, "points"), 97.4)
    'agreement is 97.4 points, at least 99 is promised'
    """
    unit = f" {promise.unit}" if promise.unit else ""
    against, bound = (-change, -promise.bound) if promise.larger else (change, promise.bound)
    if promise.kind != "figure" and against >= 0 and bound >= 0:
        verb = "lost" if promise.larger else "grew by"
        return f"{promise.subject} {verb} {_plain(against, bound)}{unit}, {_plain(bound)} are allowed"
    least = "at least" if promise.larger else "at most"
    verb = "is" if promise.kind == "figure" else "changed by"
    told, bounded = _plain(change, promise.bound), _plain(promise.bound)
    return f"{promise.subject} {verb} {told}{unit}, {least} {bounded} is promised"


def _interval(found: Measured, unit: str) -> str:
    low, high = (
        "unknown" if end is None or not math.isfinite(end) else _plain(end) for end in (found.low, found.high)
    )
    return f"95 % interval {low} to {high}{f' {unit}' if unit else ''}"


def _plain(value: float, beside: float | None = None) -> str:
    """Four digits, or as many as it takes to tell it from a bound that it stands *beside*.

    >>> _plain(24.11994), _plain(0.50001), _plain(0.50001, beside=0.5), _plain(0.0)
    ('24.12', '0.5', '0.50001', '0')
    """
    told = f"{value:.4g}"
    if beside is not None and float(told) == beside != value:
        told = f"{value:.9g}"
    return told.replace("-", _MINUS)
