"""Which candidates are tried in which order, and which of them is taken."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from forebay.workshop.compress.drafts import TooLong
from forebay.workshop.compress.keep import Verdict, margin
from forebay.workshop.compress.steps import Price, Stage, Step
from forebay.workshop.compress.trial import Place, attempt
from forebay.workshop.compress.tried import Log, Outcome, Tried
from forebay.workshop.compress.wishes import Goal, Listener

_WORTH = 0.95
_ALIKE = 1.10
_WINNERS = 3
_MOST_COMBINED = 24
_ALONE = 2 / 3
_KILLED = "this process died of it, twice"


def explore(
    place: Place, log: Log, listener: Listener, *, until_s: float, clock: Callable[[], float] = time.monotonic
) -> list[Tried]:
    """Try single steps, cheap ones first, then combinations of those that won, then the steps that are left.

    Nothing is begun after *until_s*, a moment of *clock*, and two thirds of the time until then are
    for single steps: the best recipes have several. What *log* knows is not tried again.
    """
    _tell_missing(place.steps.values(), listener)
    singles = [(step.name,) for step in in_turns(place.steps.values())]
    now_s = clock()
    found = try_all(place, log, listener, singles, now_s + _ALONE * (until_s - now_s), clock)
    found += try_all(place, log, listener, list(combined(place, found)), until_s, clock)
    rest = [recipe for recipe in singles if recipe not in {tried.recipe for tried in found}]
    found += try_all(place, log, listener, rest, until_s, clock)
    known = {tried.recipe for tried in found}
    for recipe in singles:
        if recipe not in known:
            listener({"kind": "log", "step": "try", "text": f"no time was left for {recipe[0]}"})
    return found


def in_turns(steps: Iterable[Step]) -> list[Step]:
    """Cheap ones first; of those that cost alike one of each family, then the second of each, and so on.

    What is left when the time is over is then more of what has been tried, and not something else.
    """
    turn: dict[tuple[Price, str], int] = {}
    ordered = []
    for step in steps:
        family = step.price, step.family
        turn[family] = turn.get(family, 0) + 1
        ordered.append(((step.price, turn[family]), step))
    return [step for _, step in sorted(ordered, key=lambda each: each[0])]


def _tell_missing(steps: Iterable[Step], listener: Listener) -> None:
    """Say once for each library that is not installed what is left out, and how to have it."""
    missing: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        if step.missing:
            missing.setdefault((step.needs, step.extra), []).append(step.name)
    for (module, extra), names in missing.items():
        text = f"{module} is missing, without which there is no {', '.join(names)}; "
        listener({"kind": "log", "step": "try", "text": f"{text}type: pip install 'forebay[{extra}]'"})


def try_all(
    place: Place,
    log: Log,
    listener: Listener,
    recipes: Sequence[tuple[str, ...]],
    until_s: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> list[Tried]:
    """Try each of *recipes*, none of them begun after *until_s*; what *log* knows is only told again."""
    found = []
    for number, recipe in enumerate(recipes):
        tried = log.done.get(recipe)
        if tried is None and log.deadly(recipe):
            tried = Tried(recipe=recipe, outcome=Outcome.FAILED, reason=_KILLED)
            log.end(tried)
        if tried is None and clock() >= until_s:
            continue
        if tried is None:
            fraction = round(number / len(recipes), 4)
            listener({"kind": "progress", "step": "try", "fraction": fraction, "text": " + ".join(recipe)})
            log.begin(recipe)
            try:
                tried = attempt(place, recipe)
            except TooLong as error:
                log.withdraw(recipe)
                listener({"kind": "log", "step": "try", "text": f"{' + '.join(recipe)}: {error}"})
                continue
            log.end(tried)
        listener({"kind": "candidate", "step": "try", **told(tried, place.wish.goal)})
        found.append(tried)
    return found


def told(tried: Tried, goal: Goal) -> dict[str, object]:
    """A candidate as an event: a row of a live table."""
    row: dict[str, object] = {"name": tried.name, "outcome": str(tried.outcome), "reason": tried.reason}
    row |= {"text": tried.line}
    if tried.outcome is Outcome.MEASURED:
        row |= {"verdict": str(tried.verdict), "disk_bytes": tried.disk_bytes, "size": round(tried.size, 4)}
        row |= {"findings": [finding.figures for finding in tried.findings]}
    if tried.costs:
        row |= {"burden": round(goal.burden(tried), 4), "latency": round(tried.ratio("p50_s", 1), 4)}
        row |= {"throughput": round(1 / tried.ratio("p50_s", 32), 4)}
    return row


def combined(place: Place, singles: Sequence[Tried]) -> Iterator[tuple[str, ...]]:
    """Recipes of several steps that did well alone, the most promising first."""
    goal = place.wish.goal
    winners: dict[Stage, list[Tried]] = {stage: [] for stage in Stage}
    for tried in singles:
        if tried.costs:
            winners[place.steps[tried.recipe[0]].stage].append(tried)
    best = {
        stage: sorted(found, key=lambda each: (goal.burden(each), each.name))[:_WINNERS]
        for stage, found in winners.items()
    }
    recipes = []
    for chosen in itertools.product(*([None, *best[stage]] for stage in Stage)):
        steps = [each for each in chosen if each is not None]
        if len(steps) > 1:
            expected = 1.0
            for each in steps:
                expected *= goal.burden(each)
            recipes.append((expected, tuple(each.recipe[0] for each in steps)))
    for _, recipe in sorted(recipes)[:_MOST_COMBINED]:
        yield recipe


def choose(found: Sequence[Tried], goal: Goal) -> Tried | None:
    """The best that promises to prove itself; without one, the one that comes nearest to it.

    Those within a tenth of the best count as equal, for the clock is no finer; the smallest of them wins.
    None where nothing is better than the original.
    """
    better = [tried for tried in found if tried.costs and goal.burden(tried) < _WORTH]
    sure = [tried for tried in better if tried.verdict is Verdict.KEPT]
    if sure:
        least = min(goal.burden(tried) for tried in sure)
        alike = [tried for tried in sure if goal.burden(tried) <= least * _ALIKE]
        return min(alike, key=lambda tried: (tried.disk_bytes, tried.recipe))
    return max(better, key=lambda tried: (margin(tried.findings), tried.recipe), default=None)


def front(found: Sequence[Tried]) -> set[tuple[str, ...]]:
    """The recipes that no other beats in everything: promises, latency, throughput, size, memory, energy."""
    measured = [tried for tried in found if tried.costs]
    points = {
        tried.recipe: (-margin(tried.findings), *(goal.burden(tried) for goal in Goal)) for tried in measured
    }
    return {
        recipe
        for recipe, point in points.items()
        if not any(_beats(other, point) for name, other in points.items() if name != recipe)
    }


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other
