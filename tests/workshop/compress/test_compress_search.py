"""A search finds what keeps the promises, goes on after a kill, and lets nothing harmful through."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import forebay
from forebay.core import ArtifactInfo, Manifest
from forebay.core.errors import Conflict, Malformed, Unsupported
from forebay.workshop.compress import STEPS, Compressed, Evidence, Rows, Source, Wish, compress
from forebay.workshop.compress.drafts import Draft
from forebay.workshop.compress.keep import Verdict
from forebay.workshop.compress.steps import Price, Stage, Step
from forebay.workshop.compress.steps.backends import openvino
from forebay.workshop.compress.tried import Outcome
from support.compressing import digits, held_out, mean_pooled, saved, tokens

BY_NAME = {step.name: step for step in STEPS}
pytestmark = pytest.mark.slow


def known() -> Rows:
    images, labels = digits()
    return Rows({"x": images[:700]}, labels[:700])


def run(source: Source, folder: Path, keep: str, *names: str, **more: Any) -> Compressed:
    wish = Wish.read(keep, more.pop("goal", "size"), more.pop("time_budget_s", 60.0), 0)
    steps = more.pop("steps", None) or [BY_NAME[name] for name in names]
    return compress(source, more.pop("rows", held_out()), wish, folder, tuning=known(), steps=steps, **more)


def test_a_network_becomes_smaller_and_the_evidence_says_all_about_it(dense: Source, tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    found = run(
        dense,
        tmp_path,
        "accuracy>=-3, recall[class=3]>=-10",
        "int8-static",
        "low-rank-1/32",
        "slim",
        listener=events.append,
    )
    evidence = found.evidence
    assert found.kept
    assert evidence.recipe == ("int8-static",)
    assert "smaller, accuracy" in found.sentence
    assert found.sentence.endswith("all 2 promises kept")
    assert Manifest.of_folder(found.folder).digest == evidence.digest
    assert evidence.source_digest == dense.digest
    assert set(evidence.by_batch) == {1, 8, 32, 128, 256}
    assert [line.name for line in evidence.classes] == [str(number) for number in range(10)]
    outcomes = {tried.name: tried.outcome for tried in evidence.tried}
    assert outcomes["slim"] is Outcome.INAPPLICABLE
    broken = next(tried for tried in evidence.tried if tried.name == "low-rank-1/32")
    assert broken.verdict is Verdict.BROKEN
    assert "promise accuracy>=-3 broken" in broken.reason
    assert {event["kind"] for event in events} == {"progress", "candidate", "log"}
    assert Evidence.decode(evidence.encode()) == evidence
    _, labels = digits()
    for example in evidence.examples:
        assert labels[700 + example.row] == example.truth


def test_the_report_shows_the_picture_and_every_candidate(dense: Source, tmp_path: Path) -> None:
    found = run(dense, tmp_path, "accuracy>=-3", "int8-static", "fp16", "slim")
    text = found.report.read_text()
    for shown in (
        "Promise kept",
        "<svg",
        "int8-static",
        "fp16",
        "the graph is as simple as can be",
        "By class",
    ):
        assert shown in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_the_same_command_twice_gives_the_same_digest(dense: Source, tmp_path: Path) -> None:
    one, other = (
        run(dense, tmp_path / name, "accuracy>=-5", "int8-static", "neurons-1/2") for name in ("a", "b")
    )
    assert one.evidence.digest == other.evidence.digest
    assert one.evidence.recipe == ("neurons-1/2", "int8-static")


def test_a_finished_search_answers_at_once_and_the_folder_is_for_it_alone(
    dense: Source, tmp_path: Path
) -> None:
    found = run(dense, tmp_path, "accuracy>=-3", "int8-static")
    events: list[Mapping[str, Any]] = []
    again = run(dense, tmp_path, "accuracy>=-3", "int8-static", listener=events.append)
    assert again.evidence == found.evidence
    assert events == []
    with pytest.raises(Conflict, match="holds another search"):
        run(dense, tmp_path, "accuracy>=-4", "int8-static")


SCRIPT = """
import sys
from pathlib import Path
from support.compressing import held_out
from forebay.workshop.compress import STEPS, Source, Wish, compress
steps = [step for step in STEPS if step.name in ("int8-static", "fp16", "student-32")]
compress(Source.at(Path(sys.argv[1])), held_out(), Wish.read("accuracy>=-4", "size", 60.0, 0),
         Path(sys.argv[2]), steps=steps, listener=lambda event: print(event["kind"], flush=True))
"""


def test_a_search_that_is_killed_goes_on_where_it_was(dense: Source, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(dense.folder), str(tmp_path)]
    tests = str(Path(__file__).parents[2])
    environment = {"PYTHONPATH": tests}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("candidate"):
                break
        time.sleep(0.2)  # in the middle of the next one
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    before = (tmp_path / "search.jsonl").read_text()
    with (tmp_path / "search.jsonl").open("a") as file:
        file.write('{"type": "_Ended", "tri')  # as a kill within a write leaves it
    events: list[Mapping[str, Any]] = []
    steps = [step for step in STEPS if step.name in ("int8-static", "fp16", "student-32")]
    wish = Wish.read("accuracy>=-4", "size", 60.0, 0)
    found = compress(dense, held_out(), wish, tmp_path, steps=steps, listener=events.append)
    assert (tmp_path / "search.jsonl").read_text().startswith(before)
    begun = [event["text"] for event in events if event["kind"] == "progress" and event["step"] == "try"]
    assert "fp16" not in begun
    assert "fp16" in {tried.name for tried in found.evidence.tried}


def test_what_killed_the_process_twice_is_not_tried_again(dense: Source, tmp_path: Path) -> None:
    def deadly(_draft: Draft, _bench: Any) -> Draft:
        raise KeyboardInterrupt  # the search ends as if it were killed

    steps = [Step("deadly", Stage.PRECISION, Price.INSTANT, deadly), BY_NAME["int8-static"]]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(dense, tmp_path, "accuracy>=-3", steps=steps)
    found = run(dense, tmp_path, "accuracy>=-3", steps=steps)
    assert found.evidence.recipe == ("int8-static",)
    dead = next(tried for tried in found.evidence.tried if tried.name == "deadly")
    assert (dead.outcome, dead.reason) == (Outcome.FAILED, "this process died of it, twice")


def test_a_step_that_fails_is_told_with_its_reason(dense: Source, tmp_path: Path) -> None:
    def fails(_draft: Draft, _bench: Any) -> Draft:
        raise RuntimeError("no kernel\nat line 7")

    def rubbish(draft: Draft, _bench: Any) -> Draft:
        return with_graph(draft, b"no graph")

    steps = [
        Step("fails", Stage.PRECISION, Price.INSTANT, fails),
        Step("rubbish", Stage.GRAPH, Price.INSTANT, rubbish),
        BY_NAME["int8-static"],
    ]
    found = run(dense, tmp_path, "accuracy>=-3", steps=steps)
    reasons = {tried.name: tried.reason for tried in found.evidence.tried if tried.outcome is Outcome.FAILED}
    assert reasons["fails"] == "RuntimeError: no kernel"
    assert "it does not load: ONNX Runtime cannot load" in reasons["rubbish"]


def with_graph(draft: Draft, graph: bytes) -> Draft:
    return Draft(graph, draft.backend, draft.precision)


def test_a_compiler_that_answers_wrongly_in_large_batches_only_is_caught(tmp_path: Path) -> None:
    whole, small = (
        mean_pooled(tmp_path / name, quantised=flag) for name, flag in (("f32", False), ("int8", True))
    )
    rows = tokens(600)
    labels = labels_of(whole, rows)
    wish = Wish.read("accuracy>=-5", "size", 60.0, 0)

    def quantised(_draft: Draft, _bench: Any) -> Draft:
        return small.draft()

    def on_openvino(_draft: Draft, bench: Any) -> Draft:
        return openvino(small.draft(), bench)

    steps = [
        Step("int8", Stage.PRECISION, Price.INSTANT, quantised),
        Step("int8-openvino", Stage.BACKEND, Price.INSTANT, on_openvino),
    ]
    found = compress(whole, Rows({"x": rows}, labels), wish, tmp_path / "search", steps=steps)
    right, wrong = (
        next(tried for tried in found.evidence.tried if tried.recipe == (name,))
        for name in ("int8", "int8-openvino")
    )
    assert right.verdict is not Verdict.BROKEN
    assert wrong.verdict is Verdict.BROKEN
    assert wrong.worst_batch >= 128
    assert found.evidence.recipe == ("int8",)


def labels_of(source: Source, rows: Any) -> Any:
    import onnxruntime as ort  # noqa: PLC0415 (heavy)

    session = ort.InferenceSession(source.draft().graph, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": rows})[0].argmax(axis=1).astype(str)


def test_fine_tuning_on_shuffled_labels_comes_to_nothing(dense: Source, tmp_path: Path) -> None:
    images, labels = digits()
    shuffled = Rows({"x": images[:700]}, np.random.default_rng(0).permutation(labels[:700]))
    wish = Wish.read("accuracy>=-3", "size", 60.0, 0)
    steps = [BY_NAME["neurons-1/4"], BY_NAME["low-rank-1/16-tuned"]]
    with pytest.raises(Unsupported, match="breaks a promise"):
        compress(dense, held_out(), wish, tmp_path, tuning=shuffled, steps=steps)


def test_calibration_on_zeros_comes_to_nothing(dense: Source, tmp_path: Path) -> None:
    zeros = Rows({"x": np.zeros((64, 64), np.float32)}, np.full(64, "0"))
    wish = Wish.read("accuracy>=-3", "size", 60.0, 0)
    with pytest.raises(Unsupported, match="breaks a promise"):
        compress(dense, held_out(), wish, tmp_path, tuning=zeros, steps=[BY_NAME["int8-static"]])


def test_too_few_rows_make_no_promise(dense: Source, tmp_path: Path) -> None:
    rows = held_out().take(np.arange(200))
    found = run(dense, tmp_path, "accuracy>=-0.5", "int8-static", rows=rows)
    assert not found.kept
    assert found.evidence.verdict is Verdict.UNPROVEN
    assert "not enough data to promise accuracy>=-0.5" in found.sentence
    assert "Not enough data to promise that" in found.report.read_text()


def test_a_promise_that_the_data_cannot_speak_of_is_refused_before_any_work(
    dense: Source, tmp_path: Path
) -> None:
    with pytest.raises(Malformed, match="no row is of class 'fraud'"):
        run(dense, tmp_path, "recall[class=fraud]>=-1", "int8-static")
    assert not (tmp_path / "search.jsonl").exists()


def test_without_labels_agreement_stands_in_and_the_report_says_so(dense: Source, tmp_path: Path) -> None:
    rows = Rows(held_out().inputs)
    wish = Wish.read("agreement>=95", "size", 60.0, 0)
    found = compress(dense, rows, wish, tmp_path, steps=[BY_NAME["int8-static"]])
    assert found.kept
    assert found.evidence.unlabelled
    assert "There are no labels" in found.report.read_text()


def test_a_notebook_needs_a_model_and_rows(tmp_path: Path) -> None:
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 (heavy)

    images, labels = digits()
    model = MLPClassifier((96, 96), max_iter=300, tol=0.01, random_state=0).fit(
        images[:700], labels[:700].astype(int)
    )
    found = forebay.compress.search(
        model,
        images[700:],
        labels[700:].astype(int),
        keep="accuracy>=-5, accuracy[half=odd]>=-8",
        goal="size",
        training=(images[:700], labels[:700].astype(int)),
        slices={"half": np.where(np.arange(1097) % 2, "odd", "even")},
        time_budget_s=6.0,
        folder=tmp_path,
    )
    assert found.kept
    assert set(found.evidence.slices) == {"half"}
    assert found.save(tmp_path / "copy").digest == found.evidence.digest
    info = ArtifactInfo.decode((tmp_path / "copy" / "forebay.json").read_bytes())
    assert [spec.name for spec in info.signature.outputs] == ["label", "probabilities"]


def test_an_artifact_of_another_kind_only_teaches(dense: Source, tmp_path: Path) -> None:
    import openvino as ov  # noqa: PLC0415 (heavy)

    core = ov.Core()
    source = saved(tmp_path / "ir", dense.info, b"")
    (source.folder / "model.onnx").unlink()
    ov.save_model(
        core.read_model(dense.folder / "model.onnx"), source.folder / "model.xml", compress_to_fp16=False
    )
    info = msgspec.structs.replace(dense.info, backend="openvino", model="model.xml")
    (source.folder / "forebay.json").write_bytes(info.encode())
    found = run(
        Source.at(source.folder), tmp_path / "search", "accuracy>=-8", "int8-static", "student-128-64"
    )
    assert found.evidence.recipe == ("student-128-64",)
    assert "it can only teach a student" in next(t.reason for t in found.evidence.tried if t.reason)
