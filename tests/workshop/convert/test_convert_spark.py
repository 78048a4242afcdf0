"""Spark's pipelines become ONNX, with the mistakes of the converter mended, proved against Spark itself."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert import convert
from forebay.workshop.convert.sources import spark_ml
from support.asking import asked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java: scripts/install-services"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Spark keeps sockets to its Java process
]

X, Y = load_iris(return_X_y=True)
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(
    kind=["xyz"[int(row[0] * 10) % 3] for row in X], label=Y.astype(float)
)
ROWS = FRAME[["a", "b", "c", "d"]]


@pytest.fixture(scope="module")
def frame() -> Iterator[Any]:
    """The rows in Spark; one session for all tests, for it takes its time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = spark_ml._session()
        yield session.createDataFrame(list(FRAME.itertuples(index=False, name=None)), list(FRAME.columns))
        session.stop()


def fitted(frame: Any, *stages: Any) -> Any:
    from pyspark.ml import Pipeline  # noqa: PLC0415 (heavy)

    return Pipeline(stages=list(stages)).fit(frame)


def assembled(*names: str) -> Any:
    from pyspark.ml.feature import VectorAssembler  # noqa: PLC0415 (heavy)

    return VectorAssembler(inputCols=list(names), outputCol="features")


def test_a_multinomial_regression_keeps_its_probabilities_and_answers_over_a_node(
    frame: Any, tmp_path: Path
) -> None:
    from pyspark.ml.classification import LogisticRegression  # noqa: PLC0415 (heavy)

    model = fitted(frame, assembled("a", "b", "c", "d"), LogisticRegression(maxIter=20))
    model.write().overwrite().save(str(tmp_path / "saved"))
    for source in (model, tmp_path / "saved"):
        converted = convert(source, ROWS, labels=["setosa", "versicolor", "virginica"])
        assert [spec.name for spec in converted.signature.inputs] == ["a", "b", "c", "d"]
        assert converted.signature.output("probabilities").columns == ("setosa", "versicolor", "virginica")
        assert converted.evidence[0]["outputs"]["probabilities"]["max_difference"] < 1e-5
    expected = np.array([row["probability"].toArray() for row in model.transform(frame).collect()])
    with asked(convert(model, ROWS), tmp_path / "node") as ask:
        got = ask({name: ROWS[[name]].to_numpy(np.float32) for name in ROWS.columns})
    np.testing.assert_allclose(got["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(got["label"].ravel(), expected.argmax(axis=1))


def test_texts_and_trees_and_numbers_are_converted_too(frame: Any) -> None:
    from pyspark.ml.classification import RandomForestClassifier  # noqa: PLC0415 (heavy)
    from pyspark.ml.feature import OneHotEncoder, StringIndexer  # noqa: PLC0415 (heavy)
    from pyspark.ml.regression import LinearRegression  # noqa: PLC0415 (heavy)

    texts = [
        StringIndexer(inputCol="kind", outputCol="index", handleInvalid="error"),
        OneHotEncoder(inputCol="index", outputCol="hot", handleInvalid="error", dropLast=False),
        assembled("a", "b", "hot"),
        RandomForestClassifier(numTrees=3, seed=1),
    ]
    converted = convert(fitted(frame, *texts), FRAME[["a", "b", "kind"]])
    assert {spec.name for spec in converted.signature.inputs} == {"kind", "a", "b"}
    line = fitted(frame, assembled("a", "b", "c"), LinearRegression(labelCol="d"))
    assert convert(line, ROWS[["a", "b", "c"]]).signature.outputs[0].name == "prediction"


def test_settings_that_the_converter_cannot_do_are_named(frame: Any) -> None:
    from pyspark.ml.classification import DecisionTreeClassifier  # noqa: PLC0415 (heavy)
    from pyspark.ml.feature import OneHotEncoder, StringIndexer  # noqa: PLC0415 (heavy)

    stages = [
        StringIndexer(inputCol="kind", outputCol="index"),
        OneHotEncoder(inputCol="index", outputCol="hot"),
        assembled("a", "hot"),
        DecisionTreeClassifier(),
    ]
    model = fitted(frame, *stages)
    with pytest.raises(Unsupported, match="handleInvalid='keep' with dropLast=True"):
        convert(model, FRAME[["a", "kind"]])
    with pytest.raises(Malformed, match=r"and the sample has no \['kind'\]"):
        convert(model, FRAME[["a"]])


def test_a_stage_of_somebodys_own_is_not_even_looked_up(tmp_path: Path) -> None:
    for place in ("metadata", "stages/0_Evil/metadata"):
        (tmp_path / place).mkdir(parents=True)
        name = "org.apache.spark.ml.PipelineModel" if place == "metadata" else "evil.Stage"
        (tmp_path / place / "part-00000").write_text(json.dumps({"class": name}) + "\n")
    with pytest.raises(Unsupported, match=r"a stage of the class evil\.Stage"):
        convert(tmp_path, ROWS)
