"""The language of promises: `accuracy>=-0.5, recall[class=fraud]>=-0.2`."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import NamedTuple

import msgspec

from forebay.core.errors import Malformed
from forebay.workshop.compress.keep.metrics import METRICS, Metric

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PLACE = rf"\[\s*(?P<name>[^\]=\"]*?)\s*=\s*(?P<value>{_QUOTED}|[^\]\"]*?)\s*\]"
_PROMISE = re.compile(
    rf"\s*(?P<metric>[^\W\d]\w*)\s*(?:{_PLACE})?\s*(?P<how>>=|<=)\s*"
    r"(?P<amount>(?P<sign>[+-]?)(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)[ \t]*(?P<percent>%?)"
)
_AGAIN = re.compile(r"\s*[,;\n]\s*")
_PLAIN = re.compile(r"[\w.+-]+(?: [\w.+-]+)*")
_LONGEST = 4000


class Promise(msgspec.Struct, frozen=True):
    """One bound on one figure, over all rows, a class, or a slice.

    `where` is empty or `class=fraud`-like. `bound` is in points for shares, in the figure's own unit
    otherwise, and in hundredths of the original's figure when `relative`. `change`: it bounds how far
    the figure may move from the original's.
    """

    metric: str
    bound: float
    change: bool = True
    relative: bool = False
    where: tuple[str, str] | None = None

    @property
    def about(self) -> Metric:
        """The figure that it speaks of."""
        return METRICS[self.metric]

    @property
    def subject(self) -> str:
        """The figure and the rows: `recall[class=fraud]`."""
        if self.where is None:
            return self.metric
        name, value = self.where
        return f"{self.metric}[{name}={_shown(value)}]"

    def __str__(self) -> str:
        """As it is written; `parse` reads it back to the same.

        >>> [str(promise) for promise in parse("rmse <= +2.0 % ; recall[ class = fraud ]>=-.2")]
        ['rmse<=+2%', 'recall[class=fraud]>=-0.2']
        """
        how = ">=" if self.about.larger else "<="
        number = repr(self.bound).removesuffix(".0")
        sign = "+" if self.change and not number.startswith("-") else ""
        return f"{self.subject}{how}{sign}{number}{'%' if self.relative else ''}"


class _Found(NamedTuple):
    metric: str
    where: tuple[str, str] | None
    how: str
    amount: str
    sign: str
    percent: bool


def parse(text: str) -> tuple[Promise, ...]:
    """Read promises; raises `Malformed` with what to write instead."""
    if len(text) > _LONGEST:
        raise Malformed(f"promises take at most {_LONGEST} characters, these have {len(text)}")
    promises: list[Promise] = []
    place = 0
    stripped = text.strip()
    while True:
        match = _PROMISE.match(stripped, place)
        if match is None:
            raise _unreadable(stripped[place:])
        promises.append(_promise(_found(match)))
        place = match.end()
        if place == len(stripped):
            break
        between = _AGAIN.match(stripped, place)
        if between is None:
            raise _unreadable(stripped[match.start() :])
        place = between.end()
    _refuse_twins(promises)
    return tuple(promises)


def _found(match: re.Match[str]) -> _Found:
    where = None
    if match["name"] is not None:
        where = (match["name"], _read_value(match["value"]))
        if not where[0] or not where[1]:
            raise Malformed(f"write a class or slice as [class=NAME] or [COLUMN=VALUE], not {match[0]!r}")
    return _Found(
        match["metric"], where, match["how"], match["amount"], match["sign"], bool(match["percent"])
    )


def _promise(found: _Found) -> Promise:
    metric = _metric(found.metric)
    subject = found.metric if found.where is None else f"{found.metric}[{found.where[0]}={found.where[1]}]"
    wanted = ">=" if metric.larger else "<="
    if found.how != wanted:
        better = "larger" if metric.larger else "smaller"
        raise Malformed(f"{metric.name} is better when it is {better}; write {subject}{wanted}{found.amount}")
    bound, change = float(found.amount), bool(found.sign)
    if not math.isfinite(bound):
        raise Malformed(f"{found.amount} is no number to promise; write {subject}{wanted}-0.5")
    _check_sense(found, metric, subject, bound)
    if found.where and found.where[0] == "class" and not metric.by_class:
        raise Malformed(
            f"{metric.name} is an average over classes; for one, write f1[class={found.where[1]}]"
        )
    return Promise(metric.name, bound + 0.0, change, found.percent, found.where)


def _check_sense(found: _Found, metric: Metric, subject: str, bound: float) -> None:
    if metric.compares and (found.sign or found.percent):
        usual = "99" if metric.points else "0.99"
        raise Malformed(
            f"{metric.name} compares with the original already; write {subject}>={usual}, without a sign or %"
        )
    if found.percent and not found.sign:
        raise Malformed(
            f"a % is a change against the original and needs a sign; write {subject}{found.how}"
            f"{'-' if metric.larger else '+'}{found.amount}%"
        )
    if metric.points and not found.percent and abs(bound) > 100:
        raise Malformed(f"{metric.name} lies between 0 and 100 points; {found.amount} is beyond")


def _metric(name: str) -> Metric:
    metric = METRICS.get(name)
    if metric is None:
        near = get_close_matches(name, METRICS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(METRICS)}"
        raise Malformed(f"{name!r} is no figure that can be promised; {hint}")
    return metric


def _refuse_twins(promises: list[Promise]) -> None:
    seen: set[tuple[str, bool]] = set()
    for promise in promises:
        key = (promise.subject, promise.change)
        if key in seen:
            raise Malformed(f"{promise.subject} is promised twice; keep the stricter of the two")
        seen.add(key)


def _unreadable(rest: str) -> Malformed:
    return Malformed(
        f"cannot read {rest.strip()[:60]!r} as a promise; write accuracy>=-0.5, rmse<=+2%, agreement>=99 "
        "or recall[class=fraud]>=-0.2, with commas between several"
    )


def _shown(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _read_value(text: str) -> str:
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text
