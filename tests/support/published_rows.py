"""A real model of everything that may be published: in memory, in its files, and what it says itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from forebay.core import Array, Tensors
from support.mlflow_folders import described
from support.tiny_models import scaler

IRIS = load_iris(as_frame=True)
FLOWERS = IRIS.data.to_numpy(np.float32)
SPECIES = [str(name) for name in IRIS.target_names]
THREES = np.random.default_rng(0).random((9, 3), np.float32)
LINES = [f"|a width:{n % 7 / 7:.3f} height:{n % 5 / 5:.3f} |b color={'rgb'[n % 3]}" for n in range(90)]


class Offer(NamedTuple):
    """What somebody has, and what its own framework answers."""

    inputs: Mapping[str, Array]
    """Rows by the names under which the served model takes them."""
    expected: Tensors
    memory: tuple[Any, ...] = ()
    how: Mapping[str, Any] = MappingProxyType({})
    """What `hub.publish` is told of each of *memory*."""
    files: Mapping[Path, tuple[str, ...]] = MappingProxyType({})
    """Paths, and what `forebay publish` is told of them."""


def table(folder: Path, rows: pd.DataFrame) -> tuple[str, str]:
    """The words that name *rows* on the command line."""
    rows.to_csv(folder / "rows.csv", index=False)
    return "--sample", str(folder / "rows.csv")


def listed(folder: Path, rows: list[str]) -> tuple[str, str]:
    """The words that name a list of texts."""
    (folder / "rows.json").write_text(json.dumps(rows))
    return "--sample", str(folder / "rows.json")


def species() -> tuple[str, ...]:
    """The words that name the three classes."""
    return tuple(word for name in SPECIES for word in ("--label", name))


def of_flowers(
    folder: Path,
    model: Any,
    files: list[Path],
    *others: Any,
    labels: bool = True,
    words: tuple[str, ...] = (),
) -> Offer:
    """A classifier of iris and its *files*; *others* are the same model in other classes."""
    said = (*table(folder, IRIS.data), *(species() if labels else ()), *words)
    return Offer(
        {"x": FLOWERS},
        {"probabilities": np.asarray(model.predict_proba(IRIS.data))},
        (model, *others),
        {"sample": IRIS.data} | ({"labels": SPECIES} if labels else {}),
        dict.fromkeys(files, said),
    )


def scikit_learn(folder: Path) -> Offer:
    """Numbers and texts in columns, scaled and one-hot encoded."""
    import skops.io  # noqa: PLC0415 (heavy)
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 (heavy)
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 (heavy)
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415 (heavy)

    ages = np.arange(18.0, 78.0)
    rows = pd.DataFrame({"age": ages, "city": np.array(["york", "zürich", "lima"])[ages.astype(int) % 3]})
    columns = [("n", StandardScaler(), ["age"]), ("t", OneHotEncoder(handle_unknown="ignore"), ["city"])]
    model = make_pipeline(ColumnTransformer(columns), LogisticRegression())
    model.fit(rows, np.where(ages > 50, "yes", "no"))
    skops.io.dump(model, folder / "shop.skops")
    return Offer(
        {name: rows[[name]].to_numpy() for name in rows},
        {"probabilities": model.predict_proba(rows)},
        (model,),
        {"sample": rows},
        {folder / "shop.skops": table(folder, rows)},
    )


def xgboost(folder: Path) -> Offer:
    """The estimator and its booster, in both of XGBoost's formats."""
    import xgboost as xgb  # noqa: PLC0415 (heavy)

    model = xgb.XGBClassifier(n_estimators=5, n_jobs=1).fit(IRIS.data, IRIS.target)
    files = [folder / "iris.ubj", folder / "iris.json"]
    for file in files:
        model.save_model(file)
    return of_flowers(folder, model, files, model.get_booster())


def lightgbm(folder: Path) -> Offer:
    """The estimator and its booster."""
    import lightgbm as lgb  # noqa: PLC0415 (heavy)

    model = lgb.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(IRIS.data, IRIS.target)
    model.booster_.save_model(folder / "iris.txt")
    return of_flowers(folder, model, [folder / "iris.txt"], model.booster_)


def catboost(folder: Path) -> Offer:
    """In both of CatBoost's formats."""
    import catboost as cb  # noqa: PLC0415 (heavy)

    model = cb.CatBoostClassifier(iterations=5, verbose=0, thread_count=1, allow_writing_files=False)
    model.fit(IRIS.data, IRIS.target)
    files = [folder / "iris.cbm", folder / "iris.json"]
    for file in files:
        model.save_model(str(file), format=file.suffix[1:])
    return of_flowers(folder, model, files)


def pickled(folder: Path) -> Offer:
    """A joblib file of somebody who is trusted."""
    model = LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
    joblib.dump(model, folder / "iris.joblib")
    return of_flowers(folder, model, [folder / "iris.joblib"], words=("--trust",))


def mlflow(folder: Path) -> Offer:
    """A folder with its own example rows and names of columns."""
    import xgboost as xgb  # noqa: PLC0415 (heavy)

    home = folder / "mlflow"
    model = xgb.XGBClassifier(n_estimators=5, n_jobs=1).fit(FLOWERS, IRIS.target)
    model.save_model(described(home, "xgboost", "data", "model.ubj") / "model.ubj")
    return Offer({"x": FLOWERS}, {"probabilities": model.predict_proba(FLOWERS)}, files={home: species()})


def mlflow_python(folder: Path) -> Offer:
    """A folder whose only flavour is Python, as source."""
    home = folder / "ratio"
    (home / "code").mkdir(parents=True)
    about = "flavors:\n  python_function:\n    loader_module: ratio\n    code: code\n"
    (home / "MLmodel").write_text(about)
    lines = [
        "class Ratio:",
        "    def predict(self, rows):",
        "        return rows['weight'] / rows['height'] ** 2",
    ]
    (home / "code" / "ratio.py").write_text(
        "\n".join([*lines, "def _load_pyfunc(path):", "    return Ratio()"])
    )
    people = pd.DataFrame({"height": [1.7, 1.85, 2.0], "weight": [61.0, 80.0, 100.0]})
    inputs = {name: people[name].to_numpy() for name in people}
    return Offer(inputs, {"": ratio(**inputs)}, files={home: ("--trust", *table(folder, people))})


def vowpal_wabbit(folder: Path) -> Offer:
    """A linear model with crosses, which becomes a graph."""
    model = _taught("--quiet -q ab", [f"{n % 4} {line}" for n, line in enumerate(LINES)])
    model.save(str(folder / "line.vw"))
    expected = {"prediction": np.array([[model.predict(line)] for line in LINES], np.float32)}
    words = [dict(word.split(":") for word in line.split() if ":" in word) for line in LINES]
    inputs = {name: np.array([[float(row[name])] for row in words]) for name in ("width", "height")}
    inputs["color"] = np.array([[line[-1]] for line in LINES], object)
    return Offer(inputs, expected, (model,), {"sample": LINES}, {folder / "line.vw": listed(folder, LINES)})


def vowpal_wabbit_itself(folder: Path) -> Offer:
    """One against all, which no graph holds: Vowpal Wabbit answers, as code."""
    model = _taught("--quiet --oaa 3", [f"{n % 3 + 1} {line}" for n, line in enumerate(LINES)])
    model.save(str(folder / "classes.vw"))
    expected = {"label": np.array([model.predict(line) for line in LINES])}
    files = {folder / "classes.vw": listed(folder, LINES)}
    return Offer({"line": np.array(LINES, object)}, expected, (model,), {"sample": LINES}, files)


def _taught(options: str, lines: list[str]) -> Any:
    from vowpalwabbit import Workspace  # noqa: PLC0415 (heavy)

    model = Workspace(options)
    for line in lines:
        model.learn(line)
    return model


def spark(folder: Path) -> Offer:
    """A pipeline with a regression of three classes, whose probabilities onnxmltools gets wrong."""
    from pyspark.ml import Pipeline  # noqa: PLC0415 (heavy)
    from pyspark.ml.classification import LogisticRegression as Regression  # noqa: PLC0415 (heavy)
    from pyspark.ml.feature import StringIndexer, VectorAssembler  # noqa: PLC0415 (heavy)

    from forebay.workshop.convert.sources import spark_ml  # noqa: PLC0415 (heavy)

    rows = pd.DataFrame(FLOWERS[:, :2], columns=["long", "wide"]).astype(float)
    rows["colour"] = [("red", "blue", "white")[int(row[0] * 10) % 3] for row in FLOWERS]
    session = spark_ml._session()
    told = rows.assign(label=IRIS.target.to_numpy(float))
    frame = session.createDataFrame(list(told.itertuples(index=False, name=None)), list(told.columns))
    assembled = VectorAssembler(inputCols=["long", "wide", "index"], outputCol="features")
    indexed = StringIndexer(inputCol="colour", outputCol="index", handleInvalid="error")
    model = Pipeline(stages=[indexed, assembled, Regression(maxIter=20)]).fit(frame)
    model.write().overwrite().save(str(folder / "pipeline"))
    found = model.transform(frame).select("probability", "prediction").collect()
    expected = {
        "probabilities": np.array([row["probability"].toArray() for row in found]),
        "label": np.array([SPECIES[int(row["prediction"])] for row in found]),
    }
    inputs = {name: rows[[name]].to_numpy() for name in rows}
    how = {"sample": rows, "labels": SPECIES}
    files = {folder / "pipeline": (*table(folder, rows), *species())}
    return Offer(inputs, expected, (model,), how, files)


def onnx(folder: Path) -> Offer:
    """A graph that is fixed to a batch of one."""
    (folder / "net.onnx").write_bytes(scaler(2.0, batch=1))
    return Offer({"x": THREES}, {"y": THREES * 2}, files={folder / "net.onnx": ()})


def openvino(folder: Path) -> Offer:
    """The same as OpenVINO's own converter writes it."""
    import openvino as ov  # noqa: PLC0415 (heavy)

    (folder / "net.onnx").write_bytes(scaler(3.0, batch=1))
    ov.save_model(ov.convert_model(folder / "net.onnx"), folder / "ir" / "net.xml", compress_to_fp16=False)
    return Offer({"x": THREES}, {"y": THREES * 3}, files={folder / "ir": (), folder / "ir" / "net.xml": ()})


def tflite(folder: Path) -> Offer:
    """What TensorFlow Lite's converter makes of a Keras model."""
    import tensorflow as tf  # noqa: PLC0415 (heavy)

    weights = np.arange(6, dtype=np.float32).reshape(3, 2)

    class Module(tf.Module):  # type: ignore[misc]  # TensorFlow is not read by mypy
        @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32, name="x")])  # type: ignore[untyped-decorator]  # see above
        def serve(self, x: Any) -> Any:
            return tf.matmul(x, weights)

    module = Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )
    (folder / "net.tflite").write_bytes(converter.convert())
    return Offer({"x": THREES}, {"": THREES @ weights}, files={folder / "net.tflite": ()})


def ratio(height: Array, weight: Array) -> Array:
    """A person's function."""
    return np.asarray(weight / height**2)


class Ratio:
    """A person's class."""

    def predict(self, height: Array, weight: Array) -> Array:
        """As `ratio`."""
        return np.asarray(weight / height**2)


def python(folder: Path) -> Offer:
    """A function and a class in memory, and a folder."""
    people = pd.DataFrame({"height": [1.7, 1.85, 2.0], "weight": [61.0, 80.0, 100.0]})
    (folder / "mine").mkdir()
    (folder / "mine" / "scoring.py").write_text("def ratio(height, weight):\n    return weight / height**2\n")
    inputs = {name: people[name].to_numpy() for name in people}
    files = {folder / "mine": ("--entry", "scoring:ratio", *table(folder, people))}
    return Offer(inputs, {"": ratio(**inputs)}, (ratio, Ratio), {"sample": inputs}, files)


ROWS: dict[str, Callable[[Path], Offer]] = {
    "scikit-learn": scikit_learn,
    "XGBoost": xgboost,
    "LightGBM": lightgbm,
    "CatBoost": catboost,
    "Vowpal Wabbit": vowpal_wabbit,
    "Vowpal Wabbit, by itself": vowpal_wabbit_itself,
    "Spark MLlib": spark,
    "ONNX": onnx,
    "OpenVINO IR": openvino,
    "TFLite": tflite,
    "MLflow folders": mlflow,
    "MLflow folders, Python in them": mlflow_python,
    "Python functions": python,
    "pickles (with --trust)": pickled,
}
"""By the names of their sources; networks have tests of their own."""
