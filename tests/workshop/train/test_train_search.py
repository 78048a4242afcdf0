"""The search keeps its budget, forgets nothing, and ends no lower than it began."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from forebay.core.errors import ForebayError
from forebay.workshop.train import Chosen, Recipe, Reporter, Trained, build, prepare, read, train
from forebay.workshop.train.blending import blend, loss_for, temperature_for, weights_for
from forebay.workshop.train.choosing import Part
from forebay.workshop.train.estimators.pace import Pace, momentum_at, rate_at
from forebay.workshop.train.fitted import calibrated
from forebay.workshop.train.trials import Candidate, Trials

pytestmark = pytest.mark.slow
SETS = {"wine": load_wine, "iris": load_iris, "breast cancer": load_breast_cancer, "diabetes": load_diabetes}


def candidates_of(trained: Trained) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = trained.evidence[1]["candidates"]
    return found


def test_a_search_tries_parameters_after_every_default_and_counts_its_time() -> None:
    data = load_diabetes(as_frame=True)
    trained = train(data.data, data.target, estimator="ridge", time_budget_s=6.0)
    tried = candidates_of(trained)
    assert tried[0].get("params", {}) == {}
    assert len(tried) >= 2
    assert all(one["params"].keys() == {"alpha"} for one in tried[1:])
    best = max(one["mean"]["r2"] for one in tried if one.get("state", "done") == "done")
    assert best >= tried[0]["mean"]["r2"]
    [part] = trained.lineage["estimator"]["parts"]
    assert part["params"] in [one.get("params", {}) for one in tried if one["mean"].get("r2") == best]
    assert "Leaderboard" in trained.page


def test_a_search_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    data = load_wine()
    heard: list[str] = []

    def until_the_third(event: Any) -> None:
        if event["kind"] == "metric" and "trial" in event:
            heard.append(event["estimator"])
        if len(heard) == 4:
            raise Killed

    with pytest.raises(Killed):
        train(data.data, data.target, folds=2, progress=until_the_third, checkpoint=tmp_path)
    before = Trials(tmp_path).candidates
    assert len(before) == 3
    events: list[Any] = []
    trained = train(data.data, data.target, folds=2, progress=events.append, checkpoint=tmp_path)
    tried = [event["estimator"] for event in events if event["kind"] == "metric" and "trial" in event]
    assert not {one.estimator for one in before} & set(tried)
    assert [one["seconds"] for one in candidates_of(trained)[:3]] == [one.seconds for one in before]
    assert any("going on after 3 trials" in event.get("text", "") for event in events)


def test_a_line_that_a_kill_cut_short_counts_as_not_written(tmp_path: Path) -> None:
    trials = Trials(tmp_path)
    for name in ("ridge", "mlp"):
        trials.add(Candidate(name, {"r2": 0.5}, {"r2": 0.0}, 1.0), np.ones((3, 1)))
    path = tmp_path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    again = Trials(tmp_path)
    assert [one.estimator for one in again.candidates] == ["ridge"]
    again.add(Candidate("mlp", {"r2": 0.6}, {"r2": 0.0}, 1.0), np.zeros((3, 1)))
    assert [one.number for one in Trials(tmp_path).candidates] == [0, 1]
    assert Trials(tmp_path).answers(1).sum() == 0


def test_a_network_that_would_learn_for_days_ends_within_the_budget_of_the_whole_training() -> None:
    data = load_breast_cancer()
    heard: list[Any] = []
    trained = train(
        data.data,
        data.target,
        estimator="torch-mlp",
        folds=2,
        parameters={"epochs": 10_000_000, "patience": 10_000_000},
        time_budget_s=8.0,
        progress=heard.append,
    )
    learnt = [event for event in heard if event["kind"] == "metric" and event.get("estimator") == "torch-mlp"]
    assert 1 <= max(event.get("epoch", 0) for event in learnt) < 10_000_000
    assert trained.scores["accuracy"] > 0.9


def test_the_clock_counts_where_it_is_ahead_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(f"{Pace.__module__}.time.monotonic", lambda: now[0])
    patient, pressed = Pace(200, math.inf), Pace(200, 10.0)
    for pace in (patient, pressed):
        for _ in range(20):
            pace.step()
    assert (patient.share, pressed.share) == (0.1, 0.1)
    now[0] += 5.0  # half of the time, less the grace of its beginning
    assert (patient.share, round(pressed.share, 3)) == (0.1, 0.474)
    now[0] += 5.0
    assert (patient.over, pressed.over) == (False, True)


def test_the_learning_rate_is_that_of_pytorch_s_own_one_cycle() -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=101)
    for step in range(1, 101):
        optimizer.step()
        schedule.step()
        share, [group] = step / 100, optimizer.param_groups
        assert rate_at(share, "onecycle", 0.01) == pytest.approx(group["lr"], rel=0.1, abs=1e-6)
        assert momentum_at(share) == pytest.approx(group["betas"][0], abs=0.01)


def test_what_would_take_longer_than_there_is_time_is_left_out_before_it_is_fitted() -> None:
    rows = np.random.default_rng(0).normal(size=(7000, 100)).astype(np.float32)
    target = (rows[:, 0] > 0) * 1
    heard: list[Any] = []
    trained = train(
        rows, target, estimator="auto", folds=2, time_budget_s=4.0, calibrate=False, progress=heard.append
    )
    told = [event["text"] for event in heard if "left out: the time budget" in event.get("text", "")]
    assert told
    assert {text.partition(" ")[0] for text in told} == set(trained.evidence[1]["skipped"])


@pytest.mark.parametrize("name", SETS)
def test_what_is_chosen_is_never_below_the_best_default(name: str) -> None:
    data = SETS[name]()
    trained = train(data.data, data.target, folds=3, time_budget_s=12.0)
    metric = trained.evidence[1]["metric"]
    done = [one for one in candidates_of(trained) if one.get("state", "done") == "done"]
    defaults = max(one["mean"][metric] for one in done if not one.get("params"))
    parts = trained.lineage["estimator"]["parts"]
    if len(parts) == 1:
        mine = [
            one
            for one in done
            if (one["estimator"], one.get("params", {})) == (parts[0]["estimator"], parts[0]["params"])
        ]
        assert mine[0]["mean"][metric] >= defaults
    assert max(one["mean"][metric] for one in done) >= defaults
    floor = {"wine": 0.9, "iris": 0.85, "breast cancer": 0.93, "diabetes": 0.4}[name]
    assert trained.scores[metric] >= floor


def test_latency_and_size_may_count_and_then_there_is_a_front() -> None:
    data = load_wine(as_frame=True)
    trained = train(data.data, data.target, folds=2, objectives=["latency", "size"])
    tried = candidates_of(trained)
    assert all(one["size_bytes"] > 0 < one["latency_ms"] for one in tried)
    front = [one for one in tried if one.get("pareto")]
    lightest = min(tried, key=lambda one: one["size_bytes"])
    best = max(tried, key=lambda one: one["mean"]["macro_f1"])
    assert {lightest["estimator"]} <= {one["estimator"] for one in front}
    assert max(one["mean"]["macro_f1"] for one in front) == best["mean"]["macro_f1"]
    chosen = next(one for one in tried if one["estimator"] == trained.estimator)
    assert chosen["latency_ms"] <= best["latency_ms"]
    assert "Pareto" in trained.card
    assert "Score against latency" in trained.page


def test_an_ensemble_is_one_graph_that_answers_as_the_sum_of_its_members() -> None:
    data = load_breast_cancer()
    trained = train(data.data, data.target, folds=3)
    parity = next(entry for entry in trained.evidence if entry["kind"] == "parity")
    assert parity["rows_off"] == 0
    assert "model.onnx" in trained.converted.files
    if trained.estimator == "ensemble":
        weights = [part["weight"] for part in trained.lineage["estimator"]["parts"]]
        assert sum(weights) == pytest.approx(1.0)
        assert "An ensemble (" in trained.card


def test_weights_favour_who_is_right_and_pay_only_where_they_do() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(0, 1, 600)
    good, other = (truth + draw.normal(0, 0.5, 600) for _ in range(2))
    poor = draw.normal(0, 1, 600)
    told = [one.reshape(-1, 1) for one in (good, other, poor)]
    loss = loss_for("regression", ())
    weights = blend(told, truth, loss, lambda a, b: -loss(a, b), seed=0)
    assert weights is not None
    assert weights[2] < 0.1
    assert weights[0] == pytest.approx(0.5, abs=0.2)
    assert blend([told[0], told[0]], truth, loss, lambda a, b: -loss(a, b), seed=0) is None
    assert weights_for(told, truth, loss).sum() == pytest.approx(1.0)


def test_probabilities_that_are_too_sure_are_softened_and_labels_stay() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 1.5, (2000, 3))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.array([draw.choice(3, p=row) for row in honest])
    sure = calibrated(honest, 1 / 2.5)
    loss = loss_for("classification", ())
    assert temperature_for(sure, target, loss, seed=0) == pytest.approx(2.5, rel=0.2)
    assert temperature_for(honest, target, loss, seed=0) == pytest.approx(1.0, abs=0.15)
    assert (calibrated(sure, 2.5).argmax(axis=1) == sure.argmax(axis=1)).all()


@pytest.mark.parametrize("estimator", ["xgboost", "lightgbm", "catboost", "vowpal-wabbit"])
@pytest.mark.parametrize(
    "data", [load_iris(as_frame=True), load_diabetes(as_frame=True)], ids=["iris", "diabetes"]
)
def test_every_framework_learns_and_is_served_as_onnx(estimator: str, data: Any) -> None:
    trained = train(data.data, data.target, estimator=estimator, folds=2)
    parity = next(entry for entry in trained.evidence if entry["kind"] == "parity")
    assert parity["rows_off"] == 0
    assert trained.scores.get("accuracy", 1.0) >= 0.8
    assert trained.scores.get("r2", 1.0) >= 0.3


def test_an_estimator_that_is_not_installed_is_missed_with_the_line_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "catboost", None)
    with pytest.raises(ForebayError, match=r"pip install 'forebay.boost.'"):
        train(*load_iris(return_X_y=True), estimator="catboost", folds=2)


def test_trials_that_took_more_than_the_budget_leave_the_final_fit_as_long_as_they_had() -> None:
    data = load_breast_cancer()
    params: dict[str, Any] = {"epochs": 150, "patience": 150}
    recipe = Recipe("target", estimator="torch-mlp", time_budget_s=1.0, parameters=params)
    heard: list[Any] = []
    report = Reporter(heard.append, "build")
    prepared = prepare(read(data.data, data.target), recipe, report)
    tried = Candidate("torch-mlp", {"macro_f1": 0.9}, {"macro_f1": 0.0}, 300.0, params=params, by_fold=(0.9,))
    parts = (Part("torch-mlp", 1.0, params),)
    chosen = Chosen("torch-mlp", "macro_f1", 1, (tried,), parts=parts, took_s=300.0)
    build(prepared, chosen, recipe, report)
    assert max(event.get("epoch", 0) for event in heard) == 150
