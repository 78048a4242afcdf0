"""What comes out of a training is good, the same each time, and answers raw rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from forebay.core import DataType
from forebay.serving.runtime import Budget, open_backend
from forebay.workshop.convert import verify
from forebay.workshop.train import Trained, train

pytestmark = pytest.mark.slow


def test_breast_cancer_is_told_apart() -> None:
    data = load_breast_cancer()
    trained = train(data.data, data.target, estimator="logistic-regression")
    assert trained.scores["auc"] >= 0.99
    assert trained.task == "classification"


def test_digits_are_read() -> None:
    trained = train(*load_digits(return_X_y=True), estimator="random-forest", folds=2)
    assert trained.scores["accuracy"] >= 0.95
    assert trained.evidence[2]["outputs"]["label"]["equal"] >= 0.99


def test_diabetes_is_foreseen_better_than_by_the_mean() -> None:
    data = load_diabetes(as_frame=True)
    trained = train(data.data, data.target, folds=2)
    assert trained.task == "regression"
    assert trained.scores["r2"] >= 0.40
    assert trained.evidence[0]["baseline"]["r2"] < 0.05


def test_auto_compares_and_takes_the_best() -> None:
    data = load_wine(as_frame=True)
    trained = train(data.data, data.target, name="wine", folds=2)
    compared = {one["estimator"]: one["mean"]["macro_f1"] for one in trained.evidence[1]["candidates"]}
    assert {"logistic-regression", "decision-tree", "random-forest", "hist-gradient-boosting", "mlp"} <= set(
        compared
    )
    assert trained.estimator == "ensemble" or compared[trained.estimator] == max(compared.values()) >= 0.95
    assert trained.scores["accuracy"] >= 0.95
    [x] = trained.converted.signature.inputs
    assert x.columns == tuple(data.data.columns)
    for told in ("# wine", "| accuracy |", "| alcohol | number |", "/predict/wine", "Compared"):
        assert told in trained.card
    for told in ("<h1>wine</h1>", "Leaderboard", "Calibration", "Confusion", "proline"):
        assert told in trained.page


def shop(rows: int = 200) -> pl.DataFrame:
    draw = np.random.default_rng(5)
    cities = np.array(["york", "zürich", "lima", None], dtype=object)[draw.integers(0, 4, rows)]
    income = np.where(draw.random(rows) < 0.1, np.nan, draw.normal(50, 20, rows))
    age = draw.integers(18, 80, rows)
    buys = np.where((age > 45) ^ (cities == "lima"), "yes", "no")
    return pl.DataFrame(
        {
            "age": age,
            "net income": income,
            "city": pl.Series(cities.tolist(), dtype=pl.String),
            "member": draw.random(rows) < 0.5,
            "buys": buys,
        }
    )


def trained_shop(estimator: str = "random-forest", **more: Any) -> Trained:
    return train(shop(), "buys", estimator=estimator, folds=2, **more)


@pytest.mark.parametrize(
    "estimator", ["logistic-regression", "hist-gradient-boosting", "random-forest", "mlp"]
)
def test_what_is_served_takes_the_raw_columns_texts_and_gaps_included(estimator: str, tmp_path: Path) -> None:
    trained = trained_shop(estimator)
    specs = {spec.name: (spec.datatype, spec.nan) for spec in trained.converted.signature.inputs}
    assert specs == {
        "age": (DataType.FP32, True),
        "net income": (DataType.FP32, True),
        "city": (DataType.BYTES, True),
        "member": (DataType.FP32, True),
    }
    trained.save(tmp_path)
    info, _ = verify(tmp_path)
    backend = open_backend(tmp_path, info, Budget())
    row = {
        "age": np.array([[60.0]], np.float32),
        "net income": np.array([[np.nan]], np.float32),
        "city": np.array([["never heard of"]], object),
        "member": np.array([[1.0]], np.float32),
    }
    answer = backend.run(row, ["label", "probabilities"])
    assert answer["label"].tolist() in (["yes"], ["no"])
    assert answer["probabilities"].sum() == pytest.approx(1.0, abs=1e-5)


def test_the_same_data_and_seed_give_the_same_artifact(tmp_path: Path) -> None:
    digests = [trained_shop(seed=seed).save(tmp_path / str(n)).digest for n, seed in enumerate((1, 1, 2))]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_the_lineage_says_out_of_what_with_what_and_when() -> None:
    lineage = trained_shop().lineage
    assert lineage["data"]["rows"] == 200
    assert len(lineage["data"]["sha256"]) == 64
    assert lineage["recipe"]["seed"] == 0
    assert lineage["estimator"]["parts"] == [{"estimator": "random-forest", "weight": 1.0, "params": {}}]
    assert {"forebay", "sha256", "python", "scikit-learn", "onnxruntime"} <= set(lineage["code"])
    assert lineage["energy"]["watt_hours"] > 0
    assert set(lineage["duration_s"]) == {"compare", "build"}


def test_progress_is_told_step_by_step() -> None:
    events: list[dict[str, Any]] = []
    trained_shop(progress=lambda event: events.append(dict(event)))
    steps = [event["step"] for event in events if event["kind"] == "progress"]
    assert list(dict.fromkeys(steps)) == ["prepare", "choose", "build"]
    fractions = [
        event["fraction"] for event in events if event["kind"] == "progress" and event["step"] == "choose"
    ]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any(event["kind"] == "metric" and event["name"] == "accuracy" for event in events)


def test_a_time_budget_leaves_estimators_out_but_never_all() -> None:
    trained = train(shop(), "buys", folds=2, time_budget_s=0.001)
    assert trained.estimator == "logistic-regression"
    skipped = trained.evidence[1]["skipped"]
    assert {"decision-tree", "random-forest", "hist-gradient-boosting", "mlp"} <= set(skipped)
    assert "left out for want of time" in trained.card
