"""Every task learns from real data, beats the simplest guess, and is served as one graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris

from forebay.core import DataType
from forebay.core.errors import ForebayError
from forebay.serving.runtime import Budget, open_backend
from forebay.workshop.convert import verify
from forebay.workshop.train import Trained, train

pytestmark = pytest.mark.slow


def served(trained: Trained, folder: Path, **rows: Any) -> dict[str, Any]:
    """What a node would answer to *rows*."""
    trained.save(folder)
    info, _ = verify(folder)
    backend = open_backend(folder, info, Budget())
    names = [spec.name for spec in info.signature.outputs]
    return backend.run(rows or trained.converted.sample, names)


def parity(trained: Trained) -> dict[str, Any]:
    [found] = [entry for entry in trained.evidence if entry["kind"] == "parity"]
    return found


def test_several_labels_may_come_together(tmp_path: Path) -> None:
    data = load_breast_cancer(as_frame=True)
    frame = pl.DataFrame(data.data.iloc[:, :8].to_dict("list"))
    wide = (data.data["worst radius"] > 16).astype(int).to_list()
    frame = frame.with_columns(benign=pl.Series(data.target.to_list()), wide=pl.Series(wide))
    trained = train(frame, ["benign", "wide"], estimator="logistic-regression", folds=2)
    assert trained.task == "multilabel"
    assert trained.scores["macro_f1"] >= 0.9
    answer = served(trained, tmp_path)
    assert trained.converted.signature.output("label").columns == ("benign", "wide")
    assert answer["label"].shape == answer["probabilities"].shape == (8, 2)
    assert ((answer["probabilities"] >= 0.5) == (answer["label"] == 1)).all()


@pytest.mark.parametrize("estimator", ["linear-regression", "hist-gradient-boosting"])
def test_quantiles_hold_their_share_and_never_cross(estimator: str, tmp_path: Path) -> None:
    data = load_diabetes()
    trained = train(data.data, data.target, task="quantile", estimator=estimator, folds=2)
    assert trained.scores["skill"] > 0.15
    assert trained.converted.signature.output("prediction").columns == ("0.1", "0.5", "0.9")
    answer = served(trained, tmp_path)["prediction"]
    assert (np.diff(answer, axis=1) >= 0).all()
    assert parity(trained)["rows_off"] == 0


def week_of(days: int) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    day = np.arange(days)
    sales = 20 + 0.05 * day + 3 * np.sin(2 * np.pi * day / 7) + draw.normal(0, 0.3, days)
    return pl.DataFrame({"day": day, "sales": sales}).sample(fraction=1.0, shuffle=True, seed=1)


@pytest.mark.parametrize("estimator", ["ridge", "decision-tree"])
def test_a_series_is_foreseen_better_than_by_its_last_value(estimator: str, tmp_path: Path) -> None:
    trained = train(
        week_of(300), "sales", task="forecasting", by="day", estimator=estimator, folds=2, horizon=5
    )
    assert trained.scores["skill"] > 0.7
    [x] = trained.converted.signature.inputs
    assert x.columns[-1] == "lag 1"
    assert len(x.columns) == 14, "two of the seven days that the series repeats in"
    assert trained.converted.signature.output("prediction").columns == tuple(f"step {n}" for n in range(1, 6))
    assert served(trained, tmp_path)["prediction"].shape == (8, 5)
    assert trained.evidence[0]["rows"] > 20
    assert "time split" in trained.card


def test_clusters_are_found_and_counted(tmp_path: Path) -> None:
    data = load_iris(as_frame=True)
    trained = train(data.data, task="clustering", parameters={"n_clusters": 3})
    assert trained.scores["silhouette"] > 0.35
    answer = served(trained, tmp_path)
    assert (answer["label"] == answer["distances"].argmin(axis=1)).all()
    assert "Clusters" in trained.page


def test_auto_finds_as_many_clusters_as_there_are() -> None:
    draw = np.random.default_rng(3)
    centres = draw.normal(0, 12, (4, 3))
    rows = np.concatenate([centre + draw.normal(0, 1, (50, 3)) for centre in centres])
    trained = train(rows, task="clustering")
    assert trained.lineage["estimator"]["parts"][0]["params"] == {"n_clusters": 4}


def test_rows_unlike_the_others_are_told(tmp_path: Path) -> None:
    draw = np.random.default_rng(4)
    rows = np.concatenate([draw.normal(0, 1, (400, 4)), draw.normal(0, 1, (20, 4)) + 6])
    frame = pl.DataFrame(rows, schema=list("abcd")).with_columns(odd=pl.Series([0] * 400 + [1] * 20))
    trained = train(frame, "odd", task="anomaly")
    assert trained.scores["auc"] > 0.99
    answer = served(trained, tmp_path, x=np.array([[0, 0, 0, 0], [9, 9, 9, 9]], np.float32))
    assert answer["label"].tolist() == ["normal", "anomaly"]
    assert parity(trained)["rows_off"] == 0


def reviews(rows: int = 240) -> pl.DataFrame:
    draw = np.random.default_rng(1)
    kind, unkind = (
        ["great", "lovely", "Ärger", "wonderful", "fine"],
        ["awful", "bad", "ÜBEL", "terrible", "poor"],
    )
    others = ["the", "a", "film", "plot", "actor", "scene", "was", "it", "and", "of"]
    texts = [
        " ".join([*draw.choice(others, 6), *draw.choice(kind if n % 2 else unkind, 2), f"No. {n}"])
        for n in range(rows)
    ]
    return pl.DataFrame(
        {
            "review": texts,
            "minutes": draw.normal(100, 20, rows),
            "opinion": ["good" if n % 2 else "bad" for n in range(rows)],
        }
    )


def test_texts_are_read_word_by_word(tmp_path: Path) -> None:
    trained = train(reviews(), "opinion", folds=2)
    kinds = {column["name"]: column["kind"] for column in trained.lineage["data"]["columns"]}
    assert kinds == {"review": "words", "minutes": "number"}
    assert trained.scores["accuracy"] >= 0.95
    rows = {
        "review": np.array([["A LOVELY and Wonderful film"], ["bad ÜBEL plot!"]], object),
        "minutes": np.array([[90.0], [90.0]], np.float32),
    }
    assert served(trained, tmp_path, **rows)["label"].tolist() == ["good", "bad"]
    assert parity(trained)["rows_off"] == 0


def pictures(folder: Path) -> None:
    from PIL import Image  # noqa: PLC0415 (heavy)

    digits = load_digits()
    for place in np.flatnonzero(digits.target < 3)[:240]:
        label = folder / ("none", "one", "two")[digits.target[place]]
        label.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[place] * 15).astype(np.uint8)).save(label / f"{place}.png")


def test_a_folder_of_pictures_is_a_data_set(tmp_path: Path) -> None:
    pictures(tmp_path / "digits")
    trained = train(tmp_path / "digits", estimator="torch-cnn", folds=2, parameters={"epochs": 8})
    assert trained.scores["accuracy"] >= 0.95
    [x] = trained.converted.signature.inputs
    assert (x.datatype, x.shape) == (DataType.UINT8, (-1, 8, 8, 1))
    answer = served(trained, tmp_path / "artifact")
    assert set(answer["label"].tolist()) <= {"none", "one", "two"}
    assert "Learning" in trained.page


def test_a_chosen_metric_and_class_weights_are_heeded() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(0, 1, (400, 2))
    rare = (rows[:, 0] + draw.normal(0, 1, 400) > 1.9).astype(int)
    told = [
        train(rows, rare, estimator="logistic-regression", class_weights=weighed, metric="auc", folds=2)
        for weighed in (False, True)
    ]
    found = [one.evidence[0]["per_class"]["1"]["recall"] for one in told]
    assert found[1] > found[0]
    assert told[0].evidence[1]["metric"] == "auc"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"task": "forecasting", "target": "minutes", "horizon": 300}, "give more values, fewer lags"),
        ({"task": "forecasting", "target": "opinion"}, "forecasting needs numbers"),
        ({"target": "opinion", "split": "time"}, "needs the column to split by"),
        ({"target": "opinion", "split": "group", "by": "who"}, "there is no column 'who'"),
        ({"target": "minutes", "split": "stratified"}, "needs classes"),
        ({"target": "opinion", "metric": "r3"}, "there is no metric 'r3'"),
        ({"target": "opinion", "objectives": ["speed"]}, "there is no objective 'speed'"),
        ({"target": ["opinion", "minutes"]}, "a label is 0 or 1 in each row"),
        ({"target": None}, "name the column to predict"),
        ({"target": "opinion", "estimator": "mlp"}, "does no classification of such rows"),
        ({"target": "minutes", "parameters": {"alpha": 1.0}}, "parameters belong to one estimator"),
        ({"target": "opinion", "estimator": "logistic-regression", "parameters": {"D": 1}}, "refuses these"),
        ({"target": "opinion", "quantiles": [0.9, 0.1]}, "ascending order"),
        ({"task": "clustering", "target": None, "estimator": "ridge"}, "does no clustering"),
    ],
)
def test_what_cannot_be_done_is_told(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ForebayError, match=told):
        train(reviews(80), more.pop("target"), **more)


@pytest.mark.parametrize(
    ("estimator", "parameters", "told"),
    [
        ("torch-mlp", {"optimizer": "rmsprop"}, "there is no 'rmsprop'; there is adamw, adam, sgd"),
        ("torch-mlp", {"schedule": "linear"}, "there is no 'linear'; there is onecycle, cosine, constant"),
        ("torch-mlp", {"precision": "half"}, "there is no 'half'; there is auto, float32, bfloat16"),
        ("torch-mlp", {"shift": 3}, "it has no shift; leave that out"),
        ("keras-mlp", {"smoothing": 0.1, "shift": 1}, "it has no shift and no smoothing; leave that out"),
        ("torch-mlp", {"nonsense": 1}, "unexpected keyword argument 'nonsense'"),
        ("random-forest", {"nonsense": 1}, "unexpected keyword argument 'nonsense'"),
    ],
)
def test_no_parameter_is_ignored(estimator: str, parameters: dict[str, Any], told: str) -> None:
    rows, kinds = load_iris(return_X_y=True)
    with pytest.raises(ForebayError, match=f"{estimator} refuses these parameters: .*{told}"):
        train(rows, kinds, estimator=estimator, parameters=parameters, folds=2)
