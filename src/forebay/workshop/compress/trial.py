"""One candidate, from its recipe to what it costs and answers."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forebay.core import INFO_NAME
from forebay.core.errors import ForebayError, Unsupported
from forebay.workshop.compress.drafts import Bench, Draft, Source, TooLong, answers
from forebay.workshop.compress.keep import Answers, Finding, Sight, Verdict, judge, margin, standing
from forebay.workshop.compress.measuring import Costs, Stand, Weight, answered, race, weigh
from forebay.workshop.compress.measuring.lanes import BATCHES, LANE_MOST
from forebay.workshop.compress.parts import Parts, Rows
from forebay.workshop.compress.recipes import beginning, followed
from forebay.workshop.compress.steps import Step
from forebay.workshop.compress.teacher import Teacher
from forebay.workshop.compress.tried import Cost, Outcome, Tried
from forebay.workshop.compress.wishes import Wish

SIZES = (*BATCHES, LANE_MOST)
_SIZES_BY_HASTE = tuple(reversed(SIZES))
_ROUNDS = 6
_ORDER = list(Verdict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where candidates are tried: the original, running, with its rows and what it said to them."""

    source: Source
    stand: Stand
    weight: Weight
    parts: Parts
    bench: Bench
    wish: Wish
    folder: Path
    reference: Mapping[str, Answers]
    steps: Mapping[str, Step]

    @classmethod
    def of(
        cls,
        source: Source,
        stand: Stand,
        parts: Parts,
        wish: Wish,
        folder: Path,
        steps: Mapping[str, Step],
        teacher: Teacher,
        until_s: float = math.inf,
    ) -> Place:
        """Ask the original about every row once."""
        info = source.info
        reference = {
            name: answers(info, answered(stand.say, part.inputs, 32).said, part.truth)
            for name, part in (("choose", parts.choose), ("final", parts.final))
        }
        bench = Bench(info, parts.tune, teacher.ask, wish.seed, until_s=until_s)
        return cls(source, stand, weigh(source.folder), parts, bench, wish, folder, reference, steps)

    def artifact(self, recipe: Sequence[str]) -> Path:
        """Where the candidate of *recipe* lies."""
        return self.folder / "candidates" / "+".join(recipe).replace("/", "of")


def make(place: Place, recipe: Sequence[str]) -> Draft:
    """Follow *recipe* from the original. What its first step makes alone has been made before, mostly."""
    made = place.artifact(recipe[:1])
    if len(recipe) > 1 and (made / INFO_NAME).exists():
        return followed(Source.at(made).draft(), [place.steps[name] for name in recipe[1:]], place.bench)
    return followed(beginning(place.source, recipe), [place.steps[name] for name in recipe], place.bench)


def attempt(place: Place, recipe: tuple[str, ...]) -> Tried:
    """Make, load, judge and time one candidate; what goes wrong with it is its result.

    Raises `TooLong` where it would have learned beyond the bench's time.
    """
    began_s = time.perf_counter()
    try:
        draft = make(place, recipe)
    except TooLong:
        raise
    except Unsupported as error:
        return Tried(recipe=recipe, outcome=Outcome.INAPPLICABLE, reason=str(error))
    except ModuleNotFoundError as error:
        reason = f"this needs {error.name}, which is missing; type: pip install 'forebay[compress]'"
        return Tried(recipe=recipe, outcome=Outcome.INAPPLICABLE, reason=reason)
    except Exception as error:  # noqa: BLE001 (quantisers and exporters raise anything; others are to be tried)
        return _failed(recipe, error)
    made_s = time.perf_counter() - began_s
    folder = place.artifact(recipe)
    shutil.rmtree(folder, ignore_errors=True)
    digest = draft.save(folder, place.source).digest
    try:
        return _measured(place, recipe, folder, digest, made_s)
    except ForebayError as error:
        return _failed(recipe, error)


def _failed(recipe: tuple[str, ...], error: Exception) -> Tried:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    kind = "" if isinstance(error, ForebayError) else f"{type(error).__name__}: "
    return Tried(recipe=recipe, outcome=Outcome.FAILED, reason=f"{kind}{lines[0]}"[:400])


def _measured(place: Place, recipe: tuple[str, ...], folder: Path, digest: str, made_s: float) -> Tried:
    weight = weigh(folder)
    with Stand.opened(folder) as (stand,):
        judged = _judged(place, stand)
        batch = worst(judged)
        findings = judged[batch]
        verdict = standing(findings)
        raced: list[tuple[Cost, ...]] = [(), ()]
        if verdict is not Verdict.BROKEN:
            rows = place.parts.choose.inputs
            raced = [as_costs(found) for found in race([place.stand, stand], rows, SIZES, _ROUNDS)]
    return Tried(
        recipe=recipe,
        outcome=Outcome.MEASURED,
        reason=next((f.sentence for f in findings if f.verdict is Verdict.BROKEN), ""),
        digest=digest,
        disk_bytes=weight.disk_bytes,
        memory_bytes=weight.memory_bytes,
        original_disk_bytes=place.weight.disk_bytes,
        original_memory_bytes=place.weight.memory_bytes,
        findings=findings,
        worst_batch=batch,
        verdict=verdict,
        original_costs=raced[0],
        costs=raced[1],
        made_s=round(made_s, 3),
    )


def worst(found: Mapping[int, tuple[Finding, ...]]) -> int:
    """The batch size at which the promises stand worst; of several the smallest."""
    return max(found, key=lambda size: (_ORDER.index(standing(found[size])), -margin(found[size]), -size))


def _judged(place: Place, stand: Stand) -> Mapping[int, tuple[Finding, ...]]:
    """The findings on the choosing part, as if it were as large as the final one, at each batch size.

    Compilers answer wrongly in silence, and some of them only when many rows come together. What is broken
    at one size is asked no more.
    """
    found: dict[int, tuple[Finding, ...]] = {}
    for size in _SIZES_BY_HASTE:
        seen = sight(place, stand, place.parts.choose, "choose", size)
        found[size] = judge(place.wish.keep, seen, len(place.parts.final))
        if standing(found[size]) is Verdict.BROKEN:
            break
    return found


def sight(place: Place, stand: Stand, part: Rows, name: str, batch_rows: int) -> Sight:
    """The candidate's answers to *part*, asked in batches of one size, beside the original's."""
    said = answered(stand.say, part.inputs, batch_rows).said
    own = answers(place.source.info, said, part.truth)
    return Sight(part.truth, own, place.reference[name], part.slices)


def as_costs(found: Mapping[int, Costs]) -> tuple[Cost, ...]:
    """To be written down."""
    return tuple(Cost(c.batch_rows, c.p50_s, c.p95_s, c.p99_s, c.row_joules) for c in found.values())
