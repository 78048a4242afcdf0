"""XGBoost, LightGBM and CatBoost become ONNX whatever they were fitted for, and answer the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost as cb
import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost as xgb
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from forebay.core import Array, DataType
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert import Converted, convert
from forebay.workshop.convert.running import answer, opened

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(400, 4))
HELD_OUT = DRAW.normal(size=(2000, 4))  # float64, as a notebook has it
for rows in (X, HELD_OUT):
    rows[::7, 1], rows[::5, 2] = np.nan, 0
AMOUNT = np.abs(X[:, 0]) + 1 + DRAW.normal(size=400) ** 2
GRADE = (X[:, 0] > 0) * 1 + (X[:, 3] > 0.5) * 1
GOOD = (GRADE > 0) * 1
WORDS = np.array(["low", "middle", "high"])[GRADE]
FRAME = pd.DataFrame(
    {
        "how far": X[:, 0],
        "colour": pd.Categorical(DRAW.choice(["red", "green", "blue", "pink", "grey"], 400)),
        "floor": pd.Categorical(DRAW.choice([3, 7, 11], 400)),
    }
)
LIKED = FRAME.colour.isin(["red", "pink"]).to_numpy() * 1 + (X[:, 0] > 0)
NAMED = pd.DataFrame(X, columns=["how far", "b", "c", "d"])
CAT: dict[str, Any] = {"iterations": 8, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
LGB: dict[str, Any] = {
    "n_estimators": 8,
    "verbose": -1,
    "n_jobs": 1,
    "min_child_samples": 5,
    "min_data_per_group": 1,
}
XGB: dict[str, Any] = {"n_estimators": 8, "n_jobs": 1}


def proved(model: Any, sample: Any = HELD_OUT, **wishes: Any) -> Converted:
    """Converted, with not one row off and every edge that matters asked."""
    converted = convert(model, sample, **wishes)
    [parity] = converted.evidence
    assert parity["rows_off"] == parity["edge_rows_off"] == 0
    assert {"zeros", "beyond the largest", "missing number"} <= set(parity["edges"])
    return converted


def xgb_booster(objective: str, **parameters: Any) -> xgb.Booster:
    target = _target(objective)
    rows = xgb.DMatrix(X, target)
    if objective.startswith("rank"):
        rows.set_group([100] * 4)
    if objective == "survival:aft":
        rows.set_float_info("label_lower_bound", target)
        rows.set_float_info("label_upper_bound", target)
    return xgb.train({"objective": objective, "nthread": 1, **parameters}, rows, 6)


def _target(objective: str) -> Array:
    if any(word in objective for word in ("binary", "logistic", "cross", "Logloss", "CrossEntropy", "map")):
        return GOOD
    return GRADE if any(word in objective.lower() for word in ("multi", "rank", "ndcg")) else AMOUNT


@pytest.mark.parametrize(
    "objective",
    [
        *("reg:squarederror", "reg:logistic", "reg:absoluteerror", "reg:pseudohubererror"),
        *("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"),
        *("binary:logistic", "binary:logitraw", "binary:hinge", "rank:ndcg", "rank:map"),
    ],
)
def test_an_xgboost_booster_of_any_objective_answers_the_same(objective: str) -> None:
    converted = proved(xgb_booster(objective))
    assert converted.evidence[0]["source"] == f"XGBoost {xgb.__version__} Booster ({objective})"


def test_an_xgboost_booster_of_several_classes_or_quantiles_answers_all() -> None:
    for objective in ("multi:softprob", "multi:softmax"):
        assert proved(xgb_booster(objective, num_class=3)).signature.output("probabilities").shape == (-1, 3)
    several = proved(xgb_booster("reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9]))
    assert several.signature.output("prediction").shape == (-1, 3)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (xgb.XGBClassifier(**XGB), {"y": GOOD}),
        (xgb.XGBClassifier(**XGB), {"y": GRADE}),
        (xgb.XGBClassifier(booster="dart", rate_drop=0.3, **XGB), {"y": GOOD}),
        (xgb.XGBClassifier(booster="gblinear", **XGB), {"y": GRADE}),
        (xgb.XGBRFClassifier(**XGB), {"y": GRADE}),
        (xgb.XGBRegressor(**XGB), {"y": AMOUNT + 100}),  # a base score far from zero
        (xgb.XGBRegressor(**XGB), {"y": np.column_stack([AMOUNT, -AMOUNT])}),
        (xgb.XGBRanker(**XGB), {"y": GRADE, "qid": np.repeat([0, 1, 2, 3], 100)}),
        (lgb.LGBMClassifier(**LGB), {"y": GOOD == 1}),
        (lgb.LGBMClassifier(**LGB), {"y": WORDS}),
        (lgb.LGBMClassifier(objective="multiclassova", sigmoid=2.0, **LGB), {"y": GRADE}),
        (lgb.LGBMClassifier(boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, **LGB), {"y": GOOD}),
        (lgb.LGBMRegressor(boosting_type="dart", **LGB), {"y": AMOUNT}),
        (lgb.LGBMRegressor(zero_as_missing=True, **LGB), {"y": AMOUNT}),
        (lgb.LGBMRegressor(use_missing=False, **LGB), {"y": AMOUNT}),
        (lgb.LGBMRegressor(reg_sqrt=True, **LGB), {"y": AMOUNT}),
        (lgb.LGBMRanker(**LGB), {"y": GRADE, "group": [100] * 4}),
        (cb.CatBoostClassifier(**CAT), {"y": GOOD == 1}),
        (cb.CatBoostClassifier(**CAT), {"y": GOOD + 3}),
        (cb.CatBoostClassifier(**CAT), {"y": WORDS}),
        (cb.CatBoostClassifier(loss_function="MultiClassOneVsAll", **CAT), {"y": GRADE}),
        (cb.CatBoostClassifier(grow_policy="Lossguide", **CAT), {"y": GRADE}),
        (cb.CatBoostRegressor(nan_mode="Max", **CAT), {"y": AMOUNT}),
        (cb.CatBoostRegressor(loss_function="Poisson", **CAT), {"y": AMOUNT}),
        (cb.CatBoostRegressor(loss_function="MultiRMSE", **CAT), {"y": np.column_stack([AMOUNT, -AMOUNT])}),
        (
            cb.CatBoostRanker(loss_function="YetiRank", **CAT),
            {"y": GRADE, "group_id": np.repeat([0, 1, 2, 3], 100)},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_estimator_answers_the_same_to_float64_rows_with_gaps(model: Any, target: dict[str, Any]) -> None:
    converted = proved(model.fit(X, **target))
    assert converted.signature.inputs[0].nan
    with opened(converted.files, converted.info) as backend:
        got = answer(backend, {"x": HELD_OUT.astype(np.float32)})
    if hasattr(model, "predict_proba"):
        assert [str(value) for value in got["label"][:99]] == [
            str(int(value)) if isinstance(value, bool | np.bool_) else str(value)
            for value in np.ravel(model.predict(HELD_OUT))[:99]
        ]
        np.testing.assert_allclose(got["probabilities"], model.predict_proba(HELD_OUT), atol=1e-6)
    else:
        wanted = np.asarray(model.predict(HELD_OUT)).reshape(2000, -1)
        np.testing.assert_allclose(got["prediction"], wanted, rtol=1e-5, atol=1e-6)


def test_a_dart_booster_is_published_from_memory_and_from_its_files(tmp_path: Path) -> None:
    """Its trees have weights; onnxmltools dies of it: KeyError 'gbtree_model_param'."""
    dart = {"booster": "dart", "rate_drop": 0.5, "seed": 1}
    booster = xgb_booster("binary:logistic", **dart)
    estimator = xgb.XGBClassifier(**XGB, **dart).fit(NAMED, GRADE)
    proved(booster)
    for model, name in ((booster, "m.json"), (estimator, "m.ubj"), (estimator.get_booster(), "b.ubj")):
        proved(_saved(model, tmp_path / name))


@pytest.mark.parametrize(
    "objective",
    [
        *("regression", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie", "binary"),
        *("cross_entropy", "cross_entropy_lambda", "lambdarank"),
    ],
)
def test_a_lightgbm_booster_of_any_objective_answers_the_same(objective: str) -> None:
    group = [100] * 4 if objective == "lambdarank" else None
    rows = lgb.Dataset(X, _target(objective), group=group)
    proved(lgb.train({"objective": objective, "verbose": -1, "num_threads": 1}, rows, 6))


@pytest.mark.parametrize("to_onehot", [1, 9], ids=["sets", "one-hot"])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_categories_are_asked_for_as_people_write_them(library: str, to_onehot: int) -> None:
    options: dict[str, Any] = {"enable_categorical": True, "max_cat_to_onehot": to_onehot, **XGB}
    if library == "lightgbm":
        options = {"max_cat_to_onehot": to_onehot, **LGB}
    model = (xgb.XGBClassifier if library == "xgboost" else lgb.LGBMClassifier)(**options).fit(FRAME, LIKED)
    converted = proved(model, FRAME)
    assert [(spec.name, spec.datatype) for spec in converted.signature.inputs] == [
        ("how far", DataType.FP32),
        ("colour", DataType.BYTES),
        ("floor", DataType.INT64),
    ]
    assert {"missing text", "unseen text"} <= set(converted.evidence[0]["edges"])


def test_an_early_stop_counts_as_it_does_for_the_source() -> None:
    rows, more = xgb.DMatrix(X[:200], GOOD[:200]), xgb.DMatrix(X[200:], GOOD[200:])
    watched = {
        "num_boost_round": 60,
        "evals": [(more, "more")],
        "early_stopping_rounds": 2,
        "verbose_eval": False,
    }
    proved(xgb.train({"objective": "binary:logistic", "nthread": 1}, rows, **watched))
    evaluated: dict[str, Any] = {"eval_set": [(X[200:], GRADE[200:])]}
    stopped = xgb.XGBClassifier(n_estimators=60, early_stopping_rounds=2, n_jobs=1)
    proved(stopped.fit(X[:200], GRADE[:200], verbose=False, **evaluated))
    stop = [lgb.early_stopping(2, verbose=False)]
    proved(
        lgb.LGBMClassifier(**{**LGB, "n_estimators": 60}).fit(
            X[:200], GRADE[:200], callbacks=stop, eval_X=(X[200:],), eval_y=(GRADE[200:],)
        )
    )
    cat = cb.CatBoostClassifier(**{**CAT, "iterations": 60, "early_stopping_rounds": 2})
    proved(cat.fit(X[:200], GRADE[:200], **evaluated))


@pytest.mark.parametrize(
    "save",
    [
        lambda folder: _saved(xgb.XGBClassifier(**XGB).fit(NAMED, GRADE), folder / "m.json"),
        lambda folder: _saved(xgb.XGBClassifier(**XGB).fit(NAMED, GRADE), folder / "m.ubj"),
        lambda folder: _saved(xgb.XGBClassifier(**XGB).fit(NAMED, GRADE).get_booster(), folder / "b.ubj"),
        lambda folder: _saved(lgb.LGBMClassifier(**LGB).fit(NAMED, GRADE).booster_, folder / "m.txt"),
        lambda folder: _saved(cb.CatBoostClassifier(**CAT).fit(NAMED, GRADE), folder / "m.cbm"),
        lambda folder: _saved(
            cb.CatBoostClassifier(**CAT).fit(NAMED, GRADE), folder / "m.json", format="json"
        ),
    ],
    ids=["xgboost-json", "xgboost-ubj", "xgboost-booster", "lightgbm-txt", "catboost-cbm", "catboost-json"],
)
def test_a_file_of_their_own_is_converted_with_its_columns(
    save: Callable[[Path], Path], tmp_path: Path
) -> None:
    NAMED.assign(target=GRADE).to_csv(
        tmp_path / "rows.csv", index=False
    )  # with a column that the model knows not
    converted = proved(save(tmp_path), tmp_path / "rows.csv", labels=["low", "middle", "high"])
    assert converted.signature.inputs[0].columns == tuple(NAMED.columns)
    assert converted.signature.output("label").datatype is DataType.BYTES
    assert converted.signature.output("probabilities").columns == ("low", "middle", "high")


def _saved(model: Any, path: Path, **wishes: Any) -> Path:
    model.save_model(str(path), **wishes)
    return path


@pytest.mark.parametrize("suffix", ["ubj", "txt"])
def test_a_file_with_categories_takes_rows_from_a_file_of_texts(suffix: str, tmp_path: Path) -> None:
    if suffix == "ubj":
        model = xgb.XGBClassifier(enable_categorical=True, **XGB).fit(FRAME, LIKED)
        path = _saved(model, tmp_path / "m.ubj")
    else:
        path = _saved(lgb.LGBMClassifier(**LGB).fit(FRAME, LIKED).booster_, tmp_path / "m.txt")
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    assert proved(path, tmp_path / "rows.csv").signature.input("colour").datatype is DataType.BYTES


def test_a_polars_frame_is_as_good_as_any() -> None:
    frame = pl.DataFrame({name: NAMED[name].to_numpy() for name in NAMED})
    for model in (xgb.XGBRegressor(**XGB), lgb.LGBMRegressor(**LGB), cb.CatBoostRegressor(**CAT)):
        assert proved(model.fit(NAMED, AMOUNT), frame).signature.inputs[0].columns == tuple(NAMED.columns)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), xgb.XGBClassifier(**XGB)),
        make_pipeline(StandardScaler(), lgb.LGBMClassifier(**LGB)),
        make_pipeline(StandardScaler(), cb.CatBoostClassifier(**CAT)),
        CalibratedClassifierCV(lgb.LGBMClassifier(**LGB), cv=2),
        CalibratedClassifierCV(xgb.XGBClassifier(**XGB), cv=2),
        StackingClassifier(
            [("x", xgb.XGBClassifier(**XGB)), ("l", lgb.LGBMClassifier(**LGB)), ("r", LogisticRegression())],
            cv=2,
        ),
        VotingClassifier([("x", xgb.XGBClassifier(**XGB)), ("r", LogisticRegression())], voting="soft"),
    ],
    ids=[
        "scaled xgboost",
        "scaled lightgbm",
        "scaled catboost",
        "calibrated lightgbm",
        "calibrated xgboost",
        "stacked",
        "voting",
    ],
)
def test_boosters_inside_scikit_learn_are_converted_too(model: Any) -> None:
    whole = np.nan_to_num(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn about names that LightGBM makes up
        model.fit(whole, GRADE)
    for rows in (np.nan_to_num(HELD_OUT), whole):  # trees split at the very values that they were fitted on
        assert convert(model, rows).evidence[0]["rows_off"] == 0


@pytest.mark.parametrize(
    ("fitted", "told"),
    [
        (xgb.XGBClassifier, "the XGBClassifier is not fitted; call fit"),
        (lgb.LGBMClassifier, "the LGBMClassifier is not fitted; call fit"),
        (cb.CatBoostClassifier, "the CatBoostClassifier is not fitted; call fit"),
        (
            lambda: xgb.XGBRegressor(multi_strategy="multi_output_tree", **XGB).fit(
                X, np.column_stack([AMOUNT, AMOUNT])
            ),
            "a vector in each leaf .* fit again with multi_strategy='one_output_per_tree'",
        ),
        (
            lambda: xgb.XGBClassifier(**XGB).fit(X, np.column_stack([GOOD, GOOD])),
            "several targets; train and convert one",
        ),
        (
            lambda: lgb.LGBMRegressor(linear_tree=True, **LGB).fit(np.nan_to_num(X), AMOUNT),
            "fit with linear_tree=False",
        ),
        (
            lambda: cb.CatBoostClassifier(cat_features=["colour", "floor"], **CAT).fit(FRAME, LIKED),
            r"categorical features \(colour, floor\) .* OneHotEncoder",
        ),
        (
            lambda: cb.CatBoostRegressor(loss_function="RMSEWithUncertainty", **CAT).fit(X, AMOUNT),
            "of the loss RMSEWithUncertainty is not converted",
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_what_has_no_place_in_onnx_is_named_with_what_to_do(fitted: Callable[[], Any], told: str) -> None:
    with pytest.raises((Malformed, Unsupported), match=told):
        convert(fitted(), X)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", "is no model that XGBoost reads"),
        ("m.txt", b"tree\nversion=v4\nnum_class=", "is no model that LightGBM reads"),
        ("m.cbm", b"CBM1\x01\x00\x00\x00", "is no model that CatBoost reads"),
        ("m.json", b'{"rows": [1, 2]}', "is text, and no model that anybody here reads"),
    ],
)
def test_a_damaged_file_is_told_in_a_sentence(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((Malformed, Unsupported), match=told):
        convert(tmp_path / name, X)
