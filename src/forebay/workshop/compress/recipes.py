"""Recipes: steps in a row, from the original to a version, the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from forebay.core import Manifest
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.compress.drafts import Bench, Draft, Source
from forebay.workshop.compress.parts import Parts, Rows, divide
from forebay.workshop.compress.steps import STEPS, Step
from forebay.workshop.compress.teacher import teaching
from forebay.workshop.compress.wishes import Wish
from forebay.workshop.convert.threads import threads_for


def remake(
    source: Source,
    rows: Rows,
    wish: Wish,
    recipe: Sequence[str],
    folder: Path,
    *,
    tuning: Rows | None = None,
    steps: Sequence[Step] = STEPS,
) -> Manifest:
    """Make the version of a *recipe* again in *folder*: byte for byte the same, and nothing is measured.

    *source*, *rows*, *tuning* and the seed of *wish* are those that the evidence names. On the same kind of
    machine with the same versions of the libraries the digest is the evidence's. Raises `Malformed` for what
    is no recipe, `Unsupported` where a step cannot be taken.
    """
    by_name = named(steps)
    check(recipe, by_name)
    parts = parts_of(rows, tuning, wish.seed)
    with teaching(source) as teacher:
        bench = Bench(source.info, parts.tune, teacher.ask, wish.seed)
        draft = followed(beginning(source, recipe), [by_name[name] for name in recipe], bench)
    return draft.save(folder, source)


def named(steps: Sequence[Step]) -> Mapping[str, Step]:
    """The steps by their names."""
    return {step.name: step for step in steps}


def check(recipe: Sequence[str], steps: Mapping[str, Step]) -> None:
    """Raise `Malformed` unless *recipe* is at most one of *steps* of each stage, in the stages' order."""
    if unknown := [name for name in recipe if name not in steps]:
        raise Malformed(f"there is no step {unknown[0]!r}; there are {', '.join(steps)}")
    stages = [steps[name].stage for name in recipe]
    if not stages or any(one >= other for one, other in pairwise(stages)):
        raise Malformed(
            f"{' + '.join(recipe) or 'nothing'} is no recipe; name one step or several, at most one of each "
            "stage, in the order of the list of steps' stages: shape, graph, precision, backend"
        )


def beginning(source: Source, recipe: Sequence[str]) -> Draft:
    """Where *recipe* starts: at the original, or for a student with nothing."""
    try:
        return source.draft()
    except Unsupported:
        if not recipe[0].startswith("student"):
            raise
        return Draft(b"")


def followed(draft: Draft, steps: Iterable[Step], bench: Bench) -> Draft:
    """What *steps* make of *draft*, one after the other, on one thread: sums are the same each time."""
    for step in steps:
        step.check()
        with threads_for(0):
            draft = step.make(draft, bench)
    return draft


def parts_of(rows: Rows, tuning: Rows | None, seed: int) -> Parts:
    """Three parts of *rows*; with *tuning* beside them two, for rows that are not among it."""
    if tuning is None:
        return divide(rows, seed)
    parts = divide(rows, seed, shares=(0.0, 0.3, 0.7), known=tuning)
    return Parts(tuning, parts.choose, parts.final, parts.places)
