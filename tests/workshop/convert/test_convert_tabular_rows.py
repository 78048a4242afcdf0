"""A real model of every tabular kind, in memory and from its own file, asked over a node like its source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import catboost as cb
import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost as xgb
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from forebay.core import Tensors
from forebay.workshop.convert import convert
from support.asking import asked

pytestmark = pytest.mark.slow

IRIS = load_iris(as_frame=True)
SPECIES = IRIS.target_names[IRIS.target]
CANCER, MALIGNANT = load_breast_cancer(return_X_y=True)
BODIES = load_diabetes(as_frame=True)
DRAW = np.random.default_rng(0)
SHOP = pd.DataFrame(
    {
        "age": DRAW.integers(18, 90, 300).astype(float),
        "city": DRAW.choice(["york", "zürich", "lima"], 300),
        "floor": DRAW.integers(0, 5, 300),
    }
)
SHOP.loc[::9, "age"] = np.nan
BUYS = np.where(SHOP.city.isin(["lima"]) | (SHOP.age > 60), "yes", "no")
TYPED = SHOP.assign(city=SHOP.city.astype("category"))
CAT = {"iterations": 20, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


class Row(NamedTuple):
    """A kind of model: how it is fitted, its rows, and how it is kept on disk."""

    fit: Callable[[], Any]
    rows: Any
    keep: Callable[[Any, Path], Path]


def in_skops(model: Any, folder: Path) -> Path:
    skops.io.dump(model, folder / "model.skops")
    return folder / "model.skops"


def under(name: str) -> Callable[[Any, Path], Path]:
    def keep(model: Any, folder: Path) -> Path:
        getattr(model, "booster_", model).save_model(str(folder / name))
        return folder / name

    return keep


def shop_pipeline() -> Any:
    return make_pipeline(shop_columns(), LogisticRegression()).fit(SHOP, BUYS)


def shop_columns() -> Any:
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "floor"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )


def on_iris(model: Any) -> Row:
    return Row(lambda: model.fit(IRIS.data, SPECIES), IRIS.data, in_skops)


ROWS = {
    "columns and texts": Row(shop_pipeline, SHOP, in_skops),
    "forest": on_iris(RandomForestClassifier(20, random_state=0)),
    "HistGradientBoosting on float64": Row(
        lambda: HistGradientBoostingClassifier(max_iter=30).fit(CANCER, MALIGNANT), CANCER, in_skops
    ),
    "HistGradientBoosting regression": Row(
        lambda: HistGradientBoostingRegressor(max_iter=30).fit(BODIES.data, BODIES.target),
        BODIES.data,
        in_skops,
    ),
    "MLP": on_iris(make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=2000, random_state=0))),
    "SVM": on_iris(SVC()),
    "nearest neighbours": Row(lambda: KNeighborsClassifier().fit(CANCER, MALIGNANT), CANCER, in_skops),
    "naive Bayes": on_iris(GaussianNB()),
    "k-means": Row(lambda: KMeans(3, n_init=1, random_state=0).fit(IRIS.data), IRIS.data, in_skops),
    "isolation forest": Row(
        lambda: IsolationForest(n_estimators=20, random_state=0).fit(CANCER), CANCER, in_skops
    ),
    "stacking": on_iris(
        StackingClassifier([("f", RandomForestClassifier(9, random_state=0)), ("b", GaussianNB())], cv=2)
    ),
    "calibrated": on_iris(CalibratedClassifierCV(GaussianNB(), cv=2)),
    "XGBoost classifier": Row(
        lambda: xgb.XGBClassifier(n_estimators=20).fit(IRIS.data, IRIS.target), IRIS.data, under("m.ubj")
    ),
    "XGBoost regressor": Row(
        lambda: xgb.XGBRegressor(n_estimators=20).fit(BODIES.data, BODIES.target),
        BODIES.data,
        under("m.json"),
    ),
    "XGBoost categories": Row(
        lambda: xgb.XGBClassifier(n_estimators=20, enable_categorical=True).fit(TYPED, BUYS == "yes"),
        TYPED,
        under("m.ubj"),
    ),
    "XGBoost behind columns and texts": Row(
        lambda: make_pipeline(shop_columns(), xgb.XGBClassifier(n_estimators=20)).fit(SHOP, BUYS == "yes"),
        SHOP,
        in_skops,
    ),
    "LightGBM classifier": Row(
        lambda: lgb.LGBMClassifier(n_estimators=20, verbose=-1).fit(CANCER, MALIGNANT), CANCER, under("m.txt")
    ),
    "LightGBM regressor": Row(
        lambda: lgb.LGBMRegressor(n_estimators=20, verbose=-1).fit(BODIES.data, BODIES.target),
        BODIES.data,
        under("m.txt"),
    ),
    "LightGBM categories": Row(
        lambda: lgb.LGBMClassifier(n_estimators=20, verbose=-1).fit(TYPED, BUYS == "yes"),
        TYPED,
        under("m.txt"),
    ),
    "CatBoost classifier": Row(
        lambda: cb.CatBoostClassifier(**CAT).fit(IRIS.data, SPECIES), IRIS.data, under("m.cbm")
    ),
    "CatBoost regressor": Row(
        lambda: cb.CatBoostRegressor(**CAT).fit(BODIES.data, BODIES.target), BODIES.data, under("m.cbm")
    ),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_model_of_this_kind_answers_over_a_node_like_its_source(kind: str, tmp_path: Path) -> None:
    row = ROWS[kind]
    model = row.fit()
    wanted = answers_of(model, row.rows)
    from_memory = convert(model, row.rows)
    from_disk = convert(row.keep(model, tmp_path), row.rows)
    assert from_disk.signature.inputs == from_memory.signature.inputs
    for converted, folder in ((from_memory, "memory"), (from_disk, "disk")):
        inputs = inputs_of(converted.signature.inputs, row.rows)
        with asked(converted, tmp_path / folder) as ask:
            got = ask(inputs)
        compare(got, wanted)


def answers_of(model: Any, rows: Any) -> Tensors:
    found = {"prediction": np.asarray(model.predict(rows))}
    if hasattr(model, "predict_proba"):
        found["probabilities"] = np.asarray(model.predict_proba(rows))
    return found


def inputs_of(specs: Any, rows: Any) -> Tensors:
    """The rows as a caller would write them, by hand."""
    if len(specs) == 1:
        return {"x": np.asarray(rows, dtype=np.float32)}
    return {
        spec.name: rows[spec.name].to_numpy().astype(spec.datatype.dtype).reshape(-1, 1) for spec in specs
    }


def compare(got: Tensors, wanted: Tensors) -> None:
    """Labels equal, probabilities and numbers as close as float32 allows."""
    if "prediction" in got:
        np.testing.assert_allclose(got["prediction"].ravel(), wanted["prediction"].ravel(), rtol=1e-4)
    else:
        expected = wanted["prediction"].ravel()
        labels = [str(int(label)) if not isinstance(label, str) else label for label in expected.tolist()]
        assert [str(label) for label in got["label"].ravel().tolist()] == labels
    if "probabilities" in wanted:
        np.testing.assert_allclose(got["probabilities"], wanted["probabilities"], atol=2e-5)
