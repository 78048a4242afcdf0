"""The whole way: parts, candidates, choice, proof, evidence."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from forebay.core import Manifest
from forebay.core.errors import Unsupported
from forebay.serving.runtime.fingerprint import fingerprint
from forebay.workshop.compress.drafts import Source
from forebay.workshop.compress.evidence import Evidence, by_class, by_slice, disagreeing, sentence
from forebay.workshop.compress.keep import Sight, judge, standing
from forebay.workshop.compress.measuring import Stand, race, weigh
from forebay.workshop.compress.measuring.energy import Meter
from forebay.workshop.compress.parts import Rows
from forebay.workshop.compress.recipes import check, named, parts_of
from forebay.workshop.compress.report import page
from forebay.workshop.compress.searching import choose, explore, front, try_all
from forebay.workshop.compress.steps import STEPS, Step
from forebay.workshop.compress.teacher import teaching
from forebay.workshop.compress.trial import SIZES, Place, as_costs, attempt, sight, worst
from forebay.workshop.compress.tried import Cost, Log, Outcome, Tried
from forebay.workshop.compress.wishes import Goal, Listener, Wish, silence

EVIDENCE_NAME, REPORT_NAME = "evidence.json", "report.html"
_FINAL_ROUNDS = 20
_PROOF_SHARE = 0.15
"""Of the time, what is kept for the proof."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """A candidate that was proved, or was not: `evidence.verdict` says which.

    `folder` holds the artifact; `report` and the evidence lie beside it.
    """

    folder: Path
    evidence: Evidence
    report: Path

    @property
    def kept(self) -> bool:
        """Whether every promise is proved; nothing else should be served."""
        return self.evidence.kept

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        return self.evidence.sentence

    def save(self, folder: Path | str) -> Manifest:
        """Copy the artifact into *folder* (made if missing) and return its manifest."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Manifest.of_folder(Path(folder))

    def __str__(self) -> str:
        return self.sentence


def compress(
    source: Source,
    rows: Rows,
    wish: Wish,
    folder: Path,
    *,
    tuning: Rows | None = None,
    steps: Sequence[Step] = STEPS,
    recipe: Sequence[str] = (),
    listener: Listener = silence,
) -> Compressed:
    """Look for the best candidate within *wish*, in *folder*, and prove it on rows used for nothing else.

    A search that was killed goes on where it was; a finished one answers at once, the same. *tuning* are
    rows to learn from besides (the training rows, say), which leaves more of *rows* for proof. *steps* may be
    a choice of `STEPS`, or steps of one's own. With a *recipe* nothing is looked for: that one is made and
    measured here, better or not; an evidence's own gives its version again, byte for byte, and another
    machine's figures. Raises `Malformed` for promises that these rows cannot speak of and for what is no
    recipe, `Unsupported` when nothing was better.
    """
    by_name = named(steps)
    if recipe:
        check(recipe, by_name)
    asked = {"steps": list(by_name)} | ({"recipe": list(recipe)} if recipe else {})
    log = Log(folder, key(source, rows, wish, tuning) | asked)
    if (folder / EVIDENCE_NAME).exists():
        return _finished(folder, source)
    until_s = time.monotonic() + wish.time_budget_s * (1 - _PROOF_SHARE)
    parts = parts_of(rows, tuning, wish.seed)
    with Stand.opened(source.folder) as (stand,), teaching(source) as teacher:
        place = Place.of(
            source, stand, parts, wish, folder, by_name, teacher, math.inf if recipe else until_s
        )
        _check_promises(place)
        if recipe:
            found, best = _only(place, log, listener, tuple(recipe))
        else:
            found, best = _best(place, log, listener, until_s)
        listener({"kind": "progress", "step": "prove", "fraction": 0.0, "text": best.name})
        _made_again(place, best)
        evidence = prove(place, best, found, rows)
    report = folder / REPORT_NAME
    report.write_text(page(evidence, front(found)), "utf-8")
    partial = folder / f"{EVIDENCE_NAME}.partial"
    partial.write_bytes(evidence.encode())
    partial.replace(folder / EVIDENCE_NAME)
    listener({"kind": "log", "step": "prove", "text": evidence.sentence})
    return _finished(folder, source)


def _best(place: Place, log: Log, listener: Listener, until_s: float) -> tuple[list[Tried], Tried]:
    found = explore(place, log, listener, until_s=until_s)
    best = choose(found, place.wish.goal)
    if best is None:
        raise Unsupported(_nothing(found))
    return found, best


def _only(place: Place, log: Log, listener: Listener, recipe: tuple[str, ...]) -> tuple[list[Tried], Tried]:
    found = try_all(place, log, listener, [recipe])
    if found[0].outcome is not Outcome.MEASURED:
        raise Unsupported(f"{found[0].name} cannot be made: {found[0].reason}")
    return found, found[0]


def key(source: Source, rows: Rows, wish: Wish, tuning: Rows | None) -> dict[str, object]:
    """What a search is about: with another key it is another search."""
    return {
        "source": source.digest,
        "data": rows.digest,
        "tuning": "" if tuning is None else tuning.digest,
        "keep": [str(promise) for promise in wish.keep],
        "goal": str(wish.goal),
        "seed": wish.seed,
        "forebay": version("forebay"),
    }


def _check_promises(place: Place) -> None:
    """The original against itself: what cannot be computed is said before any work."""
    reference = place.reference["final"]
    truth = place.parts.final.truth
    judge(place.wish.keep, Sight(truth, reference, reference, place.parts.final.slices))


def _made_again(place: Place, best: Tried) -> None:
    """Its files may have gone since they were measured; they are made anew, and are the same."""
    folder = place.artifact(best.recipe)
    if folder.exists() and Manifest.of_folder(folder).digest == best.digest:
        return
    patient = replace(place, bench=replace(place.bench, until_s=math.inf))
    if attempt(patient, best.recipe).digest != best.digest:
        raise Unsupported(f"{best.name} does not come out the same twice; give another folder and begin anew")


def prove(place: Place, best: Tried, found: Sequence[Tried], rows: Rows) -> Evidence:
    """The one use of the final part."""
    folder, final = place.artifact(best.recipe), place.parts.final
    weight = weigh(folder)
    with Stand.opened(folder) as (stand,):
        seen = {size: sight(place, stand, final, "final", size) for size in SIZES}
        original, own = race([place.stand, stand], final.inputs, SIZES, _FINAL_ROUNDS)
    goal_batch = 32 if place.wish.goal is Goal.THROUGHPUT else 1
    faster = original[goal_batch].p50_s / own[goal_batch].p50_s
    judged = {size: judge(place.wish.keep, each) for size, each in seen.items()}
    batch = worst(judged)
    findings = judged[batch]
    return Evidence(
        keep=tuple(str(promise) for promise in place.wish.keep),
        goal=str(place.wish.goal),
        verdict=standing(findings),
        sentence=sentence(findings, faster, place.weight.disk_bytes / weight.disk_bytes),
        recipe=best.recipe,
        seed=place.wish.seed,
        digest=best.digest,
        source_digest=place.source.digest,
        data_digest=rows.digest,
        parts=place.parts.described(),
        unlabelled=final.truth is None,
        findings=findings,
        worst_batch=batch,
        by_batch={size: standing(each) for size, each in judged.items()},
        classes=by_class(seen[batch]),
        slices=by_slice(seen[batch]),
        examples=disagreeing(seen[batch], np.asarray(place.parts.places["final"])),
        disk_bytes=weight.disk_bytes,
        source_disk_bytes=place.weight.disk_bytes,
        memory_bytes=weight.memory_bytes,
        source_memory_bytes=place.weight.memory_bytes,
        costs=as_costs(own),
        source_costs=as_costs(original),
        energy=Meter().method,
        machine=fingerprint(),
        tried=tuple(found),
        forebay=version("forebay"),
    )


def _finished(folder: Path, source: Source) -> Compressed:
    evidence = Evidence.decode((folder / EVIDENCE_NAME).read_bytes())
    artifact = folder / "candidates" / "+".join(evidence.recipe).replace("/", "of")
    assert evidence.source_digest == source.digest
    return Compressed(artifact, evidence, folder / REPORT_NAME)


def _nothing(found: Sequence[Tried]) -> str:
    measured: list[tuple[Cost, ...]] = [tried.costs for tried in found if tried.costs]
    if measured:
        return "nothing that keeps the promises is better than the original; allow more time or a larger loss"
    return "every candidate breaks a promise or does not apply; allow a larger loss, or give more rows"
