"""A candidate that does harm never gets through the gate, however its evidence came about.

The candidates are made and measured as all others are: by steps of a real compression of a real network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from forebay.control.registry import VersionRecord
from forebay.core import MachineKind, NodeReport
from forebay.serving.runtime.fingerprint import machine_kind
from forebay.workshop.compress import STEPS, Compressed, Rows, Source, Step, Wish, compress
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.keep import Verdict
from forebay.workshop.compress.learning import Lessons, teach
from forebay.workshop.compress.steps import Price, Stage
from forebay.workshop.compress.steps.precision import quantised
from support.artifacts import register_folder
from support.compressing import digits, held_out, trained
from support.hub import RunningHub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEEP, LAX = "accuracy>=-3", "accuracy>=-99"
MODELS = "/api/v1/projects/default/models/digits"
DIGITS = "/api/v1/projects/default/deployments/digits"


def shuffled_labels(draft: Draft, bench: Bench) -> Draft:
    """Fine-tuning whose labels went to the wrong rows."""
    lessons = Lessons.of(bench)
    assert lessons.right is not None
    wrong = np.random.default_rng(0).permutation(lessons.right)
    return teach(draft, bench, replace(lessons, right=wrong), epochs=8, rate=1e-2, alpha=0.0)


def calibrated_on_zeros(draft: Draft, bench: Bench) -> Draft:
    """int8 with ranges from a calibration set of nothing but zeros."""
    zeros = {name: np.zeros_like(values) for name, values in bench.calibration().items()}
    return quantised(draft, zeros, "minmax")


HARMFUL = [
    Step("shuffled-labels", Stage.SHAPE, Price.TRAINS, shuffled_labels),
    Step("calibrated-on-zeros", Stage.PRECISION, Price.CALIBRATES, calibrated_on_zeros),
]
GOOD = next(step for step in STEPS if step.name == "int8-static")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A network that reads digits."""
    return trained(tmp_path_factory.mktemp("harmful") / "source", "dense")


@pytest.fixture(scope="module")
def made(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Compressed]:
    """Each step of *STEPS*, measured once for the promise and once for one that nothing breaks."""
    images, labels = digits()
    known = Rows({"x": images[:700]}, labels[:700])

    def by(step: Step, keep: str) -> Compressed:
        folder = tmp_path_factory.mktemp(step.name)
        wish = Wish.read(keep, "size", 60.0, 0)
        return compress(source, held_out(), wish, folder, tuning=known, steps=[step], recipe=[step.name])

    return {(step.name, keep): by(step, keep) for step in (*HARMFUL, GOOD) for keep in (KEEP, LAX)}


@pytest.fixture
def guarded(hub: RunningHub, developer: httpx.Client, source: Source) -> VersionRecord:
    """The original, deployed and under a protected alias, with a promise and a node of this kind."""
    report = NodeReport("n1", "http://127.0.0.1:8000", "0.1.0", 1, ready=True, machine=machine_kind())
    hub.services.nodes.report(report)
    original = register_folder(hub.services.registry, hub.services.blobs, source.folder, "original")
    assert developer.put(f"{MODELS}/keep", json={"keep": KEEP}).status_code == 200
    protected = {"version": 1, "protected": True}
    assert developer.put(f"{MODELS}/aliases/champion", json=protected).status_code == 200
    assert developer.put(DIGITS).status_code == 200
    return original


def plain(found: Compressed) -> dict[str, Any]:
    """The evidence as a job registers it."""
    entry: dict[str, Any] = msgspec.to_builtins(found.evidence, str_keys=True)
    return entry


def asked(hub: RunningHub, developer: httpx.Client, folder: Path, *evidence: dict[str, Any]) -> str:
    """Register *folder* and ask for it everywhere; empty if it gets in, else what the gate says."""
    rooms = hub.services
    job = f"job-{len(rooms.registry.versions('default', 'digits'))}"
    version = register_folder(rooms.registry, rooms.blobs, folder, job, *evidence).version
    answers = [
        developer.put(DIGITS, json={"targets": [{"version": version}]}),
        developer.put(DIGITS, json={"targets": [{"version": 1, "weight": 99}, {"version": version}]}),
        developer.put(DIGITS),
        developer.put(f"{MODELS}/aliases/champion", json={"version": version}),
    ]
    statuses = {answer.status_code for answer in answers}
    if statuses == {200}:
        return ""
    assert statuses == {409}
    assert [target["version"] for target in developer.get(DIGITS).json()["targets"]] == [1]
    return str(answers[0].json()["detail"])


@pytest.mark.parametrize("step", HARMFUL, ids=lambda step: step.name)
def test_what_does_harm_never_gets_through(
    step: Step,
    made: Mapping[tuple[str, str], Compressed],
    guarded: VersionRecord,
    hub: RunningHub,
    developer: httpx.Client,
) -> None:
    broken, lax = made[step.name, KEEP], made[step.name, LAX]
    assert (broken.evidence.verdict, lax.evidence.verdict) == (Verdict.BROKEN, Verdict.KEPT)
    change = broken.evidence.findings[0].change
    assert change is not None
    lost = f"accuracy lost {-change:.4g} points, 3 are allowed"
    assert lost in asked(hub, developer, broken.folder, plain(broken))
    assert lost in asked(hub, developer, lax.folder, plain(lax))  # kept a promise that is none
    assert "no evidence" in asked(hub, developer, broken.folder)


@pytest.mark.parametrize("step", HARMFUL, ids=lambda step: step.name)
def test_nor_does_it_with_the_evidence_of_something_better(
    step: Step,
    made: Mapping[tuple[str, str], Compressed],
    guarded: VersionRecord,
    hub: RunningHub,
    developer: httpx.Client,
) -> None:
    harmful, good = made[step.name, KEEP], made[GOOD.name, KEEP]
    assert "of other bytes" in asked(hub, developer, harmful.folder, plain(good))
    praised = plain(harmful) | {"verdict": "kept", "by_batch": dict.fromkeys(map(str, (1, 8, 32)), "kept")}
    assert "accuracy lost" in asked(hub, developer, harmful.folder, praised)
    forged = plain(good) | {"digest": harmful.evidence.digest, "claimed_in": "job-7"}
    assert "came along when it was published" in asked(hub, developer, harmful.folder, forged)


def test_what_keeps_the_promise_gets_through_on_this_machine_and_on_no_other(
    made: Mapping[tuple[str, str], Compressed],
    guarded: VersionRecord,
    hub: RunningHub,
    developer: httpx.Client,
) -> None:
    good = made[GOOD.name, KEEP]
    assert good.kept
    here = machine_kind()
    elsewhere = MachineKind("riscv64", (), here.packages)
    report = NodeReport("n2", "http://127.0.0.2:8000", "0.1.0", 1, ready=True, machine=elsewhere)
    hub.services.nodes.report(report)
    assert f"is riscv64 and not {here.architecture}" in asked(hub, developer, good.folder, plain(good))
    hub.services.nodes.remove("n2")
    assert asked(hub, developer, good.folder, plain(good)) == ""
    assert developer.get(f"{MODELS}/keep").json()["data"] == good.evidence.data_digest
