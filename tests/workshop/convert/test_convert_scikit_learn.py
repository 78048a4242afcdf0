"""What a person has in a notebook becomes ONNX, and answers the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC, OneClassSVM

from forebay.core import INFO_NAME, Array, ArtifactInfo, DataType
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert import Converted, Different, convert, verify
from forebay.workshop.convert.columnar import OPSETS
from forebay.workshop.convert.running import answer, opened

PEOPLE: dict[str, list[Any]] = {
    "net income": [float(n * 37 % 101) for n in range(120)],
    "age": [n * 13 % 80 for n in range(120)],
    "city": [("york", "zürich", "lima", None)[n % 4] for n in range(120)],
    "smoker": [n % 3 == 0 for n in range(120)],
}
BUYS = np.array(["yes" if (n * 13 % 80) > 40 else "no" for n in range(120)])


def digits() -> tuple[Array, Array]:
    pixels, digit = load_digits(return_X_y=True)
    return pixels[:600], digit[:600]


def shop_pipeline(missing: Any) -> Pipeline:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(missing_values=missing, strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore"),
    )
    prepare = ColumnTransformer(
        [("numbers", numbers, ["net income", "age", "smoker"]), ("texts", texts, ["city"])]
    )
    return Pipeline([("prepare", prepare), ("decide", LogisticRegression())])


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        RandomForestClassifier(10, random_state=0),
        pytest.param(HistGradientBoostingClassifier(max_iter=5, random_state=0), marks=pytest.mark.slow),
        GradientBoostingClassifier(n_estimators=2, random_state=0),
        pytest.param(
            MLPClassifier((8,), solver="lbfgs", max_iter=2000, random_state=0), marks=pytest.mark.slow
        ),
        GridSearchCV(GaussianNB(), {"var_smoothing": [0.1]}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_classifier_keeps_its_labels_and_probabilities(model: Any) -> None:
    pixels, digit = digits()
    model.fit(pixels[:500], digit[:500])
    converted = convert(model, pixels[500:])
    [x] = converted.signature.inputs
    assert (x.name, x.datatype, x.shape) == ("x", DataType.FP32, (-1, 64))
    label, probabilities = converted.signature.outputs
    assert (label.name, label.datatype, label.shape) == ("label", DataType.INT64, (-1,))
    assert probabilities.columns == tuple("0123456789")
    with opened(converted.files, converted.info) as backend:
        got = answer(backend, {"x": pixels[500:].astype(np.float32)})
    assert list(got) == ["label", "probabilities"]
    np.testing.assert_array_equal(got["label"], model.predict(pixels[500:]))
    np.testing.assert_allclose(got["probabilities"], model.predict_proba(pixels[500:]), atol=1e-5)
    assert converted.evidence[0]["outputs"]["label"]["equal"] == 1.0


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression(),
        make_pipeline(StandardScaler(), Ridge()),
        RandomForestRegressor(10, random_state=0),
        HistGradientBoostingRegressor(max_iter=10, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_regressor_keeps_its_predictions(model: Any) -> None:
    frame = load_diabetes(as_frame=True)
    model.fit(frame.data, frame.target)
    converted = convert(model, frame.data[:100])
    [x], [prediction] = converted.signature.inputs, converted.signature.outputs
    assert x.columns == tuple(frame.data.columns)
    assert (prediction.name, prediction.datatype, prediction.shape) == ("prediction", DataType.FP32, (-1, 1))
    assert converted.info.task == "regression"


@pytest.mark.parametrize("missing", [np.nan, None], ids=["pandas", "polars"])
def test_a_table_with_texts_travels_column_by_column_under_its_own_names(missing: Any) -> None:
    frame: Any = pl.DataFrame(PEOPLE) if missing is None else pd.DataFrame(PEOPLE)
    model = shop_pipeline(missing).fit(frame, BUYS)
    converted = convert(model, frame)
    assert [(spec.name, spec.datatype.value) for spec in converted.signature.inputs] == [
        ("net income", "FP32"),
        ("age", "INT64"),
        ("city", "BYTES"),
        ("smoker", "BOOL"),
    ]
    assert all(spec.shape == (-1, 1) for spec in converted.signature.inputs)
    label, probabilities = converted.signature.outputs
    assert label.datatype is DataType.BYTES
    assert probabilities.columns == ("no", "yes")
    assert {"missing text", "unseen text", "missing number"} <= set(converted.evidence[0]["edges"])


def test_a_text_classifier_takes_texts_on_a_machine_without_locales() -> None:
    texts = ["good day", "bad day", "Good night", "bad night"] * 5
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["+", "-", "+", "-"] * 5)
    converted = convert(model, ["good evening", "bad day", "nothing known"])
    [x] = converted.signature.inputs
    assert (x.datatype, x.shape) == (DataType.BYTES, (-1, 1))


def test_a_classifier_without_probabilities_answers_labels_only() -> None:
    pixels, digit = digits()
    for model in (LinearSVC(), RidgeClassifier(), make_pipeline(StandardScaler(), LinearSVC())):
        converted = convert(model.fit(pixels, digit), pixels[:50])
        assert [spec.name for spec in converted.signature.outputs] == ["label"]


def test_clusters_and_transformers_are_served_too() -> None:
    pixels, _ = digits()
    clusters = convert(KMeans(3, n_init=1, random_state=0).fit(pixels), pixels[:50])
    assert [spec.name for spec in clusters.signature.outputs] == ["label"]
    scaled = convert(StandardScaler().fit(pixels), pixels[:50])
    assert [(spec.name, spec.shape) for spec in scaled.signature.outputs] == [("features", (-1, 64))]


def test_true_and_false_are_served_as_one_and_zero() -> None:
    pixels, digit = digits()
    converted = convert(RandomForestClassifier(5, random_state=0).fit(pixels, digit > 4), pixels[:50])
    label, probabilities = converted.signature.outputs
    assert label.datatype is DataType.INT64
    assert probabilities.columns == ("0", "1")


@pytest.mark.parametrize(
    ("model", "nan"),
    [
        (LogisticRegression(max_iter=5000), False),
        (make_pipeline(SimpleImputer(), LogisticRegression(max_iter=5000)), True),
        (HistGradientBoostingClassifier(max_iter=3), True),
        (RandomForestClassifier(5, random_state=0), False),  # it answers, but the ONNX one otherwise
    ],
    ids=["refuses", "imputes", "native", "otherwise"],
)
def test_nan_is_a_value_only_where_source_and_converted_agree_on_it(model: Any, nan: bool) -> None:
    pixels, digit = digits()
    converted = convert(model.fit(pixels, digit), pixels[:50])
    assert converted.signature.inputs[0].nan is nan


def test_a_matrix_takes_the_column_names_it_is_given() -> None:
    pixels, digit = digits()
    model = LogisticRegression(max_iter=5000).fit(pixels[:, :2], digit)
    converted = convert(model, pixels[:50, :2], columns=["left", "right"])
    assert converted.signature.inputs[0].columns == ("left", "right")
    assert convert(model, pixels[:50, :2]).signature.inputs[0].columns == ()


def saved(folder: Path) -> Converted:
    frame = pl.DataFrame(PEOPLE)
    converted = convert(shop_pipeline(None).fit(frame, BUYS), frame)
    converted.save(folder)
    return converted


def test_what_is_saved_is_an_artifact_with_real_rows_that_verifies(tmp_path: Path) -> None:
    converted = saved(tmp_path / "artifact")
    folder = tmp_path / "artifact"
    assert sorted(path.name for path in folder.iterdir()) == ["forebay.json", "model.onnx", "sample.json"]
    assert ArtifactInfo.decode((folder / INFO_NAME).read_bytes()) == converted.info
    request = json.loads((folder / "sample.json").read_bytes())
    assert [item["shape"] for item in request["inputs"]] == [[8, 1]] * 4
    assert request["inputs"][2]["data"][:4] == ["york", "zürich", "lima", ""]
    info, evidence = verify(folder)
    assert info == converted.info
    assert evidence["latency_p50_ms"] > 0


def test_the_same_model_gives_the_same_artifact(tmp_path: Path) -> None:
    first, second = saved(tmp_path / "a"), saved(tmp_path / "b")
    assert first.save(tmp_path / "c").digest == second.save(tmp_path / "d").digest


@pytest.mark.parametrize(
    "model",
    [IsolationForest(n_estimators=5, random_state=0), LocalOutlierFactor(novelty=True), OneClassSVM()],
    ids=lambda model: type(model).__name__,
)
def test_a_detector_of_outliers_answers_its_verdict_and_its_score(model: Any, tmp_path: Path) -> None:
    pixels, _ = digits()
    converted = convert(model.fit(pixels[:300]), pixels[300:])
    label, score = converted.signature.outputs
    assert (label.name, label.datatype) == ("label", DataType.INT64)
    assert (score.name, score.datatype, score.shape) == ("score", DataType.FP32, (-1, 1))
    converted.save(tmp_path)
    assert verify(tmp_path)[0] == converted.info


def test_every_graph_says_the_same_opsets_and_gives_plain_tensors() -> None:
    pixels, digit = digits()
    for model in (
        IsolationForest(n_estimators=5),
        RandomForestClassifier(5),
        make_pipeline(StandardScaler(), LinearSVC()),
    ):
        converted = convert(model.fit(pixels, digit), pixels[:50])
        proto = onnx.load_from_string(bytes_of(converted))
        assert all(opset.version <= OPSETS[opset.domain] for opset in proto.opset_import)
        assert {node.op_type for node in proto.graph.node}.isdisjoint({"ZipMap"})


def bytes_of(converted: Converted) -> bytes:
    content = converted.files[converted.info.model]
    assert isinstance(content, bytes)
    return content


def test_classes_get_names_where_their_owner_gives_them() -> None:
    pixels, digit = digits()
    model = LogisticRegression(max_iter=5000).fit(pixels, digit > 4)
    converted = convert(model, pixels[:50], labels=["low", "high"])
    label, probabilities = converted.signature.outputs
    assert (label.datatype, probabilities.columns) == (DataType.BYTES, ("low", "high"))
    with opened(converted.files, converted.info) as backend:
        got = answer(backend, {"x": pixels.astype(np.float32)})
    assert got["label"].tolist() == np.where(model.predict(pixels), "high", "low").tolist()
    with pytest.raises(Malformed, match="3 labels for 2 classes; give each class a name"):
        convert(model, pixels[:50], labels=["a", "b", "c"])
    with pytest.raises(Malformed, match="labels are names for classes, and this model has none"):
        convert(Ridge().fit(pixels, digit), pixels[:50], labels=["a"])


def test_no_row_stays_with_the_version_if_its_owner_keeps_them(tmp_path: Path) -> None:
    pixels, digit = digits()
    converted = convert(LogisticRegression(max_iter=5000).fit(pixels, digit), pixels[:50], keep_sample=False)
    converted.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["forebay.json", "model.onnx"]
    assert converted.sample == {}
    assert verify(tmp_path)[1]["rows"] == "zeros"


def test_trees_fitted_on_float64_are_held_to_what_they_say_to_float64_rows() -> None:
    draw = np.random.default_rng(0)
    wide = draw.normal(size=(2000, 5)) * 1e3  # more digits than a float32 has
    model = HistGradientBoostingClassifier(max_iter=20).fit(wide, wide[:, 0] > wide[:, 1])
    parity = convert(model, wide).evidence[0]
    assert (parity["rows"], parity["rows_off"]) == (2000, 0)


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), RobustScaler(), MinMaxScaler()], ids=lambda scaler: type(scaler).__name__
)
@pytest.mark.parametrize(
    "trees",
    [
        HistGradientBoostingClassifier(max_iter=30),
        HistGradientBoostingRegressor(max_iter=30, loss="poisson"),
        RandomForestClassifier(20, random_state=0),
        GradientBoostingClassifier(n_estimators=20, random_state=0),
    ],
    ids=lambda trees: type(trees).__name__,
)
def test_no_row_crosses_a_threshold_of_trees_behind_a_scaler(trees: Any, scaler: Any) -> None:
    """Edges of bins are often numbers that rows have: a last digit lost by the scaler is another branch."""
    draw = np.random.default_rng(0)
    far = draw.normal(size=(2041, 5)) * 1e3 + 12345.678  # 2041: each eighth row is the edge of a bin
    far[::9, 2] = np.nan  # filled with the mean, which is an edge too
    model = make_pipeline(SimpleImputer(), scaler, trees).fit(far, (far[:, 0] > far[:, 1]) * 1)
    parity = convert(model, far).evidence[0]
    assert (parity["rows"], parity["rows_off"], parity["edge_rows_off"]) == (2041, 0, 0)


def test_histogram_trees_answer_alike_in_company_of_other_models() -> None:
    pixels, digit = digits()
    trees = HistGradientBoostingClassifier(max_iter=3)
    for model in (
        CalibratedClassifierCV(trees, cv=2),
        VotingClassifier([("t", trees), ("b", GaussianNB())], voting="soft"),
    ):
        for classes in (digit % 3, np.where(digit > 4, "high", "low")):
            assert convert(model.fit(pixels, classes), pixels).evidence[0]["rows_off"] == 0
    sorts = HistGradientBoostingClassifier(max_iter=3, categorical_features=[10]).fit(pixels, digit)
    with pytest.raises(Unsupported, match="categorical_features have no place in ONNX; put a OneHotEncoder"):
        convert(sorts, pixels)


def test_a_step_that_has_no_place_in_onnx_is_named() -> None:
    pixels, digit = digits()
    spline = make_pipeline(SplineTransformer(), Ridge()).fit(pixels, digit)
    with pytest.raises(Unsupported, match=r"the step 'splinetransformer' \(SplineTransformer\) cannot"):
        convert(spline, pixels[:10])
    python = make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit(pixels, digit)
    with pytest.raises(Unsupported, match="runs Python code"):
        convert(python, pixels[:10])
    target = make_pipeline(TargetEncoder(cv=2), LogisticRegression(max_iter=5000)).fit(pixels, digit % 3)
    with pytest.raises(Unsupported, match="TargetEncoder for binary classification"):
        convert(target, pixels[:10])


def test_a_conversion_that_differs_is_refused_and_shows_the_worst_row() -> None:
    x = np.linspace(0, 1, 200).reshape(-1, 1)
    model = LinearRegression().fit(x, x[:, 0] * 1e9)
    told = r"differs .* of 2\d\d rows.*worst is row .*expected .*, got .*column_0="
    with pytest.raises(Different, match=told):
        convert(model, x + 1e-9, tolerance=1e-12)


@pytest.mark.parametrize(
    ("model", "sample", "told"),
    [
        (Ridge(), [[1.0]], "the Ridge is not fitted; call fit before convert"),
        (3, [[1.0]], "nobody here converts a builtins.int; models of .*scikit-learn.* are"),
        (Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), [[]], "the model itself refuses the sample"),
        (Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), np.zeros((0, 1)), "the sample is empty"),
        (
            Ridge().fit([[1.0], [2.0]], [1.0, 2.0]),
            np.zeros((1, 1, 1)),
            r"the sample has the shape \[1, 1, 1\]",
        ),
        (Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), np.array([["2026-01-01"]], "M8[D]"), "holds dates"),
    ],
    ids=["unfitted", "no model", "no columns", "no rows", "three dimensions", "dates"],
)
def test_what_cannot_be_converted_is_told_in_a_sentence(model: Any, sample: Any, told: str) -> None:
    with pytest.raises((Malformed, Unsupported), match=told):
        convert(model, sample)


def test_a_column_may_not_have_the_name_of_an_output() -> None:
    frame = pd.DataFrame({"label": ["a", "b"] * 10, "n": range(20)})
    prepare = ColumnTransformer([("texts", OneHotEncoder(), ["label"])], remainder="passthrough")
    model = make_pipeline(prepare, LogisticRegression()).fit(frame, [0, 1] * 10)
    with pytest.raises(Malformed, match="rename the column 'label'"):
        convert(model, frame)
