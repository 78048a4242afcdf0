"""A recipe makes its version again, one that is missing a library is left out, and time is shared out."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forebay.core import Manifest
from forebay.core.errors import Conflict, Malformed, Unsupported
from forebay.workshop.compress import STEPS, Rows, Source, Wish, compress, remake
from forebay.workshop.compress.drafts import Draft
from forebay.workshop.compress.keep import Verdict
from forebay.workshop.compress.measuring import Stand
from forebay.workshop.compress.recipes import named, parts_of
from forebay.workshop.compress.searching import explore, try_all
from forebay.workshop.compress.steps import Price, Stage, Step
from forebay.workshop.compress.teacher import teaching
from forebay.workshop.compress.trial import Place
from forebay.workshop.compress.tried import Log, Outcome
from support.compressing import digits, held_out

BY_NAME = {step.name: step for step in STEPS}
WISH = Wish.read("accuracy>=-4", "size", 60.0, 0)
pytestmark = pytest.mark.slow


def known() -> Rows:
    images, labels = digits()
    return Rows({"x": images[:700]}, labels[:700])


def test_the_recipe_of_an_evidence_makes_its_version_again_byte_for_byte(
    dense: Source, tmp_path: Path
) -> None:
    steps = [BY_NAME[name] for name in ("int8-static", "neurons-1/2", "slim")]
    found = compress(dense, held_out(), WISH, tmp_path / "search", tuning=known(), steps=steps)
    again = remake(dense, held_out(), WISH, found.evidence.recipe, tmp_path / "again", tuning=known())
    assert again.digest == found.evidence.digest == Manifest.of_folder(tmp_path / "again").digest


AGAIN = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from forebay.workshop.compress import Source, Wish, remake
from support.compressing import held_out
source, folder = map(Path, sys.argv[1:])
wish = Wish.read("accuracy>=-4", "size", 60.0, 0)
print(remake(Source.at(source), held_out(), wish, ["student-128-64", "int8-static"], folder).digest)
"""


def test_another_process_with_more_threads_makes_the_same_bytes(
    dense: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = set()
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
        command = [
            sys.executable,
            "-c",
            AGAIN.format(path=sys.path),
            str(dense.folder),
            str(tmp_path / threads),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1


def test_a_recipe_is_measured_as_it_is_good_or_not(dense: Source, tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    good, bad = (
        compress(dense, held_out(), WISH, tmp_path / recipe[:3], recipe=[recipe], listener=events.append)
        for recipe in ("int8-static", "low-rank-1/32")
    )
    assert [tried.recipe for tried in good.evidence.tried] == [("int8-static",)]
    assert good.kept
    assert bad.evidence.verdict is Verdict.BROKEN
    assert "broken" in bad.sentence
    assert [event["name"] for event in events if event["kind"] == "candidate"] == [
        "int8-static",
        "low-rank-1/32",
    ]
    with pytest.raises(Conflict, match="holds another search"):
        compress(dense, held_out(), WISH, tmp_path / "int", recipe=["fp16"])


def test_what_is_no_recipe_is_refused_before_any_work(dense: Source, tmp_path: Path) -> None:
    for recipe, told in (
        (["int8-statik"], "there is no step 'int8-statik'; there are openvino"),
        (["int8-static", "slim"], "at most one of each stage, in the order"),
        (["int8-static", "fp16"], "int8-static . fp16 is no recipe"),
        ([], "nothing is no recipe"),
    ):
        with pytest.raises(Malformed, match=told):
            remake(dense, held_out(), WISH, recipe, tmp_path / "made")
    with pytest.raises(Malformed, match="there is no step"):
        compress(dense, held_out(), WISH, tmp_path / "search", recipe=["int8-statik"])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unsupported, match="trees-1/2 cannot be made: it is no single ensemble"):
        compress(dense, held_out(), WISH, tmp_path / "search", recipe=["trees-1/2"])


def test_without_the_libraries_of_an_extra_the_other_steps_are_tried(
    dense: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torch", "onnxslim", "nncf", "openvino", "onnx_ir"):
        monkeypatch.setitem(sys.modules, module, None)
    events: list[Mapping[str, Any]] = []

    def unforeseen(_draft: Draft, _bench: Any) -> Draft:
        raise ModuleNotFoundError("No module named 'sympy'", name="sympy")

    left_out = ["slim", "openvino", "int8-guarded", "int4-weights", "neurons-1/2", "student-32"]
    steps = [BY_NAME[name] for name in (*left_out, "int8-static")]
    steps.append(Step("unforeseen", Stage.GRAPH, Price.INSTANT, unforeseen))
    found = compress(dense, held_out(), WISH, tmp_path, steps=steps, listener=events.append)
    assert found.evidence.recipe == ("int8-static",)
    outcomes = {tried.name: tried.outcome for tried in found.evidence.tried if len(tried.recipe) == 1}
    assert {name for name, outcome in outcomes.items() if outcome is Outcome.INAPPLICABLE} == {
        *left_out,
        "unforeseen",
    }
    texts = [event["text"] for event in events if event["kind"] == "log"]
    assert (
        "torch is missing, without which there is no neurons-1/2, student-32; "
        "type: pip install 'forebay[compress]'"
    ) in texts
    assert "this needs sympy, which is missing" in found.report.read_text()


def test_time_is_left_for_combinations_before_the_dear_steps_are_through(
    dense: Source, tmp_path: Path
) -> None:
    now_s = [0.0]

    def after(minutes: float, name: str) -> Step:
        def make(draft: Draft, bench: Any) -> Draft:
            now_s[0] += 60 * minutes
            return BY_NAME[name].make(draft, bench)

        return Step(f"{name}-in-{minutes:g}", BY_NAME[name].stage, Price.TRIES, make)

    dear = [after(7, "low-rank-1/4"), after(5, "low-rank-1/16"), after(4, "low-rank-1/32")]
    steps = named([BY_NAME["int8-static"], BY_NAME["low-rank-1/4"], *dear])
    parts = parts_of(held_out().take(np.arange(400)), known(), 0)
    wish = Wish.read("accuracy>=-95", "size", 60.0, 0)
    with Stand.opened(dense.folder) as (stand,), teaching(dense) as teacher:
        place = Place.of(dense, stand, parts, wish, tmp_path, steps, teacher)
        told: list[Mapping[str, Any]] = []
        found = explore(place, Log(tmp_path, {}), told.append, until_s=600.0, clock=lambda: now_s[0])
    tried = [each.recipe for each in found]
    both, second = ("low-rank-1/4", "int8-static"), ("low-rank-1/16-in-5",)
    assert tried.index(both) < tried.index(second)
    said = [event["text"] for event in told if event["kind"] == "log"]
    assert said == ["no time was left for low-rank-1/32-in-4"]


def test_what_would_learn_beyond_the_time_is_left_for_another_time(dense: Source, tmp_path: Path) -> None:
    told: list[Mapping[str, Any]] = []
    parts = parts_of(held_out().take(np.arange(400)), known(), 0)
    names = ("neurons-1/2", "int8-static")
    steps = named([BY_NAME[name] for name in names])
    with Stand.opened(dense.folder) as (stand,), teaching(dense) as teacher:
        for moment_s, tried in ((-1000.0, ["int8-static"]), (math.inf, ["int8-static", "neurons-1/2"])):
            place = Place.of(dense, stand, parts, WISH, tmp_path, steps, teacher, moment_s)
            log = Log(tmp_path, {})
            found = try_all(place, log, told.append, [(name,) for name in names])
            assert sorted(each.name for each in found) == tried
            assert not log.deadly(("neurons-1/2",))
    (said,) = [event["text"] for event in told if event["kind"] == "log"]
    assert said.startswith("neurons-1/2: it would learn for ")
