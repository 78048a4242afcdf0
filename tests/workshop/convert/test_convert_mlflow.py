"""MLflow's folders, as MLflow 3.17 writes them: the model inside, its example rows and its columns' names."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.workshop.convert import convert
from support.asking import asked
from support.mlflow_folders import NAMES, X, Y, described
from support.tiny_models import scaler


def iris_model() -> Any:
    return LogisticRegression(max_iter=500).fit(X, Y)


def of_sklearn(folder: Path) -> Any:
    import skops.io  # noqa: PLC0415 (heavy)

    model = iris_model()
    skops.io.dump(model, described(folder, "sklearn", "pickled_model", "model.skops") / "model.skops")
    return model


def of_xgboost(folder: Path) -> Any:
    import xgboost  # noqa: PLC0415 (heavy)

    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y)
    model.save_model(described(folder, "xgboost", "data", "model.ubj") / "model.ubj")
    return model


def of_lightgbm(folder: Path) -> Any:
    import lightgbm  # noqa: PLC0415 (heavy)

    model = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(X, Y)
    model.booster_.save_model(described(folder, "lightgbm", "data", "model.lgb") / "model.lgb")
    return model


def of_catboost(folder: Path) -> Any:
    import catboost  # noqa: PLC0415 (heavy)

    model = catboost.CatBoostClassifier(iterations=3, verbose=0, thread_count=1, allow_writing_files=False)
    model.fit(X, Y).save_model(str(described(folder, "catboost", "data", "model.cb") / "model.cb"))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("make", [of_sklearn, of_xgboost, of_lightgbm, of_catboost])
def test_a_model_comes_with_its_example_rows_and_its_columns_names(
    make: Callable[[Path], Any], tmp_path: Path
) -> None:
    model = make(tmp_path / "model")
    converted = convert(tmp_path / "model")
    assert converted.signature.inputs[0].columns == NAMES
    origin = converted.evidence[0]["mlflow"]
    assert origin["flavour"] == make.__name__.removeprefix("of_")
    assert origin["run_id"] == "4b49266d7b954466a5882d4308f08239"
    np.testing.assert_allclose(converted.sample["x"], X[::10][:8], rtol=1e-6)
    with asked(converted, tmp_path / "node") as ask:
        got = ask({"x": X[::7].astype(np.float32)})["probabilities"]
    np.testing.assert_allclose(got, model.predict_proba(X[::7]), atol=1e-5)


@pytest.mark.slow
def test_a_pickle_inside_is_refused_and_converted_where_it_is_trusted(tmp_path: Path) -> None:
    folder = described(tmp_path / "model", "sklearn", "pickled_model", "model.pkl")
    (folder / "model.pkl").write_bytes(pickle.dumps(iris_model()))
    with pytest.raises(Unsupported, match=r"model\.pkl is a pickle.*--trust"):
        convert(folder)
    assert convert(folder, trust=True).signature.inputs[0].columns == NAMES


def test_an_onnx_graph_inside_keeps_its_own_names(tmp_path: Path) -> None:
    folder = described(tmp_path / "model", "onnx", "data", "model.onnx")
    (folder / "model.onnx").write_bytes(scaler())
    converted = convert(folder, np.ones((2, 3), np.float32))
    assert converted.evidence[0]["mlflow"]["flavour"] == "onnx"
    assert [spec.name for spec in converted.signature.inputs] == ["x"]


def python_only(folder: Path) -> None:
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    cloudpickle_version: 3.1.2\n"
        "    loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl\n"
    )


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "MLmodel").read_text()
        assert old in text
        (folder / "MLmodel").write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (python_only, "has the flavours python_function, which are Python that would run"),
        (lambda folder: (folder / "MLmodel").write_text("a: [1"), "is no YAML"),
        (lambda folder: (folder / "MLmodel").write_text("- 1"), "does not describe a model"),
        (lambda folder: (folder / "MLmodel").write_text("a: 1"), "names no flavours"),
        (
            lambda folder: (folder / "MLmodel").write_text(
                "flavors: !!python/object/apply:os.system ['true']"
            ),
            "is no YAML",
        ),
        (replaced("    data: model.onnx\n", ""), "does not say where the onnx model is"),
        (replaced("model.onnx", "../model.onnx"), "no plain path inside"),
        (replaced("model.onnx", "other.onnx"), "'other.onnx' is not in the folder"),
        (lambda folder: (folder / "input_example.json").write_text("{"), "example rows .* cannot be read"),
    ],
)
def test_a_folder_that_is_damaged_or_holds_code_is_refused(
    damage: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    folder = described(tmp_path / "model", "onnx", "data", "model.onnx")
    (folder / "model.onnx").write_bytes(scaler())
    damage(folder)
    with pytest.raises(ForebayError, match=told):
        convert(folder)


def test_the_model_of_a_folder_may_not_be_a_link_to_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(scaler())
    folder = described(tmp_path / "model", "onnx", "data", "model.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "model.onnx")
    with pytest.raises(Malformed, match="lies outside its MLflow folder"):
        convert(folder)
