"""MLflow's folders, as MLflow 3.17 writes them: the model inside, its example rows and its columns' names."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.serving.runtime import Budget
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
        (python_only, r"only the flavour python_function: Python that would run.* --name model --trust;"),
        (
            lambda folder: (folder / "MLmodel").write_text("flavors: {h2o: {}}"),
            "the flavours h2o, and none that",
        ),
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


PYFUNC = """\
flavors:
  python_function:
    cloudpickle_version: 3.1.2
    code: {code}
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
    loader_module: {loader}
    {more}
mlflow_version: 3.17.2
run_id: 4b49266d7b954466a5882d4308f08239
saved_input_example_info: {{artifact_path: input_example.json, pandas_orient: split, type: dataframe}}
signature:
  inputs: '[{{"type": "double", "name": "width (cm)"}}, {{"type": "string", "name": "colour"}}]'
  outputs: '[{{"type": "double"}}]'
"""
ROWS: dict[str, list[Any]] = {
    "columns": ["width (cm)", "colour"],
    "data": [[1.0, "red"], [2.5, "blue"], [4.0, "grey"]],
}
PRICES = {"red": 2.0, "blue": 3.0}
EXPECTED = [2.0, 7.5, 0.0]
FROM_CODE = """
import json
import mlflow
from mlflow.pyfunc import PythonModel

class Prices(PythonModel):
    def load_context(self, context):
        with open(context.artifacts["prices"]) as file:
            self.prices = json.load(file)

    def predict(self, {parameters}, params=None):
        return rows["width (cm)"] * rows["colour"].map(self.prices).fillna(0.0)

mlflow.models.set_model(Prices())
"""
LOADER = """
import json
import helping

class Prices:
    def __init__(self, prices):
        self.prices = prices

    def predict(self, rows):
        return helping.product(rows, self.prices).tolist()

def _load_pyfunc(path):
    with open(path) as file:
        return Prices(json.load(file))
"""
HELPING = """
def product(rows, prices):
    return rows["width (cm)"] * rows["colour"].map(prices).fillna(0.0)
"""


def pyfunc(folder: Path, code: str, loader: str, more: str, files: dict[str, str]) -> Path:
    files = files | {"MLmodel": PYFUNC.format(code=code, loader=loader, more=more)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "input_example.json").write_text(json.dumps(ROWS))
    (folder / "requirements.txt").write_text("mlflow==3.17.2\n")
    return folder


def from_code(folder: Path, parameters: str = "context, rows") -> Path:
    more = (
        "model_code_path: prices.py\n    artifacts: {prices: {path: artifacts/prices.json, uri: prices.json}}"
    )
    files = {
        "prices.py": FROM_CODE.format(parameters=parameters),
        "artifacts/prices.json": json.dumps(PRICES),
    }
    return pyfunc(folder, "null", "mlflow.pyfunc.model", more, files)


def by_loader(folder: Path) -> Path:
    files = {
        "code/pricing.py": LOADER,
        "code/helping.py": HELPING,
        "data/prices.json": json.dumps(PRICES),
    }
    return pyfunc(folder, "code", "pricing", "data: data/prices.json", files)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [from_code, lambda folder: from_code(folder, "rows"), by_loader],
    ids=["from code", "without context", "loader"],
)
def test_a_python_function_that_is_source_is_served_as_code_where_it_is_trusted(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = make(tmp_path / "prices")
    with pytest.raises(
        Unsupported, match=r"Python that would run.* forebay publish .*prices --name prices --trust"
    ):
        convert(folder)
    converted = convert(folder, trust=True)
    assert converted.info.code
    assert [spec.name for spec in converted.signature.inputs] == ["width (cm)", "colour"]
    assert converted.evidence[0]["mlflow"]["flavour"] == "python_function"
    assert [line.partition("==")[0] for line in converted.evidence[0]["requirements"]] == ["numpy", "pandas"]
    rows = {
        "width (cm)": np.array([row[0] for row in ROWS["data"]]),
        "colour": np.array([row[1] for row in ROWS["data"]], object),
    }
    with asked(converted, tmp_path / "node", budget=Budget(code=True, call_s=30.0)) as ask:
        np.testing.assert_allclose(ask(rows)["prediction"], EXPECTED)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("model_code_path: prices.py", "python_model: python_model.pkl"),
            r"a pickled Python model.*set_model",
        ),
        (("artifacts/prices.json,", "artifacts/other.json,"), "'artifacts/other.json', which is not in its"),
        (("model_code_path: prices.py", "model_code_path: ../prices.py"), "no plain path inside"),
    ],
    ids=["pickled", "without its artifact", "outside"],
)
def test_a_python_function_that_cannot_travel_is_told_even_to_those_who_trust_it(
    change: tuple[str, str], told: str, tmp_path: Path
) -> None:
    folder = from_code(tmp_path / "prices")
    replaced(*change)(folder)
    with pytest.raises(ForebayError, match=told):
        convert(folder, trust=True)


@pytest.mark.slow
def test_what_a_model_from_code_does_wrong_is_told(tmp_path: Path) -> None:
    folder = from_code(tmp_path / "prices")
    text = (folder / "prices.py").read_text()
    (folder / "prices.py").write_text(text.replace("mlflow.models.set_model(Prices())", ""))
    with pytest.raises(
        Malformed, match=r"fails on the sample: ValueError: the file never calls mlflow\.models"
    ):
        convert(folder, trust=True)
    (folder / "prices.py").write_text("import mlflow.sklearn\n" + text)
    with pytest.raises(
        Malformed, match=r"fails on the sample: ModuleNotFoundError: No module named 'mlflow\.sk"
    ):
        convert(folder, trust=True)


def test_the_model_of_a_folder_may_not_be_a_link_to_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(scaler())
    folder = described(tmp_path / "model", "onnx", "data", "model.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "model.onnx")
    with pytest.raises(Malformed, match="lies outside its MLflow folder"):
        convert(folder)
