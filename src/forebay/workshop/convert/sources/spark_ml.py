"""Spark MLlib: fitted pipelines, through onnxmltools with its mistakes mended, proved against Spark."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from forebay.core import Array, DataType, Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.graph import keep_outputs, rename
from forebay.workshop.convert.predictor import Predictor
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.running import first_line
from forebay.workshop.convert.sample import Layout, columns_of
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES, begin, finish

_OPSET = 15
_OWN = "org.apache.spark.ml."
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.driver.memory": "1g",
    "spark.log.level": "ERROR",
}


class SparkMl:
    """A `PipelineModel`, in memory or in the folder that it saved. Needs Java."""

    name = "Spark MLlib"

    def knows(self, model: object) -> bool:
        return is_from(model, "pyspark")

    def reads(self, path: Path) -> bool:
        return (path / "stages").is_dir() and (path / "metadata").is_dir()

    def runs_code(self, _path: Path) -> str | None:
        return None

    def load(self, path: Path) -> Any:
        need("pyspark", "spark")
        _check_stages(path)
        session = _session()
        from pyspark.ml import PipelineModel  # noqa: PLC0415 (heavy)

        try:
            return PipelineModel.read().session(session).load(str(path.absolute()))
        except Exception as error:  # Spark hands on whatever Java raises
            raise Malformed(f"Spark cannot load {path}: {first_line(error)}") from error

    def draft(self, model: Any, given: Given) -> Draft:
        stages = getattr(model, "stages", None)
        if not stages:
            raise Unsupported("publish a fitted PipelineModel: Pipeline(stages=[…]).fit(frame)")
        sample = given.sample.toPandas() if is_from(given.sample, "pyspark") else given.sample
        if not hasattr(sample, "columns"):
            raise Malformed("a pipeline takes its columns by their names; give a data frame as the sample")
        wanted = _inputs_of(stages)
        missing = [name for name in wanted if name not in list(sample.columns)]
        if missing:
            raise Malformed(f"the pipeline takes the columns {wanted}, and the sample has no {missing}")
        predictor = _predictor(model, stages[-1])
        given = _with(given, sample[wanted])
        work = begin(predictor, given, None, by_name=True)
        proto = _to_onnx(model, work.layout, predictor)
        return finish(work, proto, f"Spark MLlib {version('pyspark')} {type(stages[-1]).__name__}", given)


def _with(given: Given, sample: Any) -> Given:
    return Given(sample, None, given.labels, given.requirements)


def _session() -> Any:
    """Spark's session of this process, made here if there is none."""
    from pyspark.errors import PySparkException  # noqa: PLC0415 (heavy)
    from pyspark.sql import SparkSession  # noqa: PLC0415 (heavy)

    builder = SparkSession.builder.master("local[1]").appName("forebay")
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, RuntimeError, OSError) as error:
        raise Unsupported(
            f"Spark does not start ({first_line(error)}); it needs Java: apt-get install default-jre-headless"
        ) from error


def _check_stages(folder: Path) -> None:
    """Raise `Unsupported` for a stage that is not Spark's own: its class would be looked up and run."""
    for file in sorted(folder.rglob("metadata/part-*")):
        try:
            name = str(msgspec.json.decode(file.read_bytes().partition(b"\n")[0])["class"])
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise Malformed(f"{file} describes no stage of a pipeline; it is damaged") from error
        if not name.startswith(_OWN):
            raise Unsupported(
                f"{folder} has a stage of the class {name}, which is code of somebody's own; "
                "leave it out of the pipeline and apply it to the data before"
            )


def _inputs_of(stages: Sequence[Any]) -> list[str]:
    """The columns that the pipeline takes and does not make itself."""
    wanted: dict[str, None] = {}
    made: set[str] = set()
    for stage in stages:
        taken = [name for key in ("inputCol", "featuresCol") for name in _param(stage, key)]
        taken += _param(stage, "inputCols")
        wanted |= dict.fromkeys(name for name in taken if name not in made)
        for key in ("outputCol", "outputCols", "predictionCol", "probabilityCol", "rawPredictionCol"):
            made.update(_param(stage, key))
    return list(wanted)


def _param(stage: Any, name: str) -> list[str]:
    if not stage.hasParam(name) or not stage.isDefined(name):
        return []
    value = stage.getOrDefault(name)
    return [value] if isinstance(value, str) else list(value)


def _predictor(model: Any, last: Any) -> Predictor:
    answers = _Answers(model, last)
    if last.hasParam("probabilityCol") and hasattr(last, "numClasses"):
        functions = {LABEL: answers.labels, PROBABILITIES: answers.probabilities}
        return Predictor(model, "classification", tuple(range(last.numClasses)), functions)
    if not last.hasParam("predictionCol"):
        raise Unsupported(f"the pipeline ends with a {type(last).__name__}, which predicts nothing")
    if "regression" in type(last).__module__:
        return Predictor(model, "regression", (), {PREDICTION: answers.predictions})
    return Predictor(model, "", (), {LABEL: answers.labels})


class _Answers:
    """What Spark says to the rows of a table; asked once for all outputs."""

    def __init__(self, model: Any, last: Any) -> None:
        self._model = model
        self._columns = {
            key: _param(last, key)[0] for key in ("predictionCol", "probabilityCol") if _param(last, key)
        }
        self._asked: tuple[Any, Tensors] | None = None

    def labels(self, table: Any) -> Array:
        return self._answer(table)["predictionCol"].astype(np.int64)

    def predictions(self, table: Any) -> Array:
        return self._answer(table)["predictionCol"]

    def probabilities(self, table: Any) -> Array:
        return self._answer(table)["probabilityCol"]

    def _answer(self, table: Any) -> Tensors:
        if self._asked is None or self._asked[0] is not table:
            self._asked = (table, self._ask(table))
        return self._asked[1]

    def _ask(self, table: Any) -> Tensors:
        columns = columns_of(table)
        rows = [tuple(_plain(value) for value in row) for row in zip(*columns.values(), strict=True)]
        frame = _session().createDataFrame(rows, list(columns))
        found = self._model.transform(frame).select(*self._columns.values()).collect()
        return {key: np.array([_number(row[name]) for row in found]) for key, name in self._columns.items()}


def _plain(value: Any) -> Any:
    """As Spark takes it: Python's own numbers and texts, and None for what is missing."""
    if isinstance(value, np.generic):
        value = value.item()
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: Any) -> Any:
    return value.toArray() if hasattr(value, "toArray") else value


def _to_onnx(model: Any, layout: Layout, predictor: Predictor) -> Any:
    onnxmltools = need("onnxmltools", "spark")
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # deprecations between libraries that are not ours
            proto = onnxmltools.convert_sparkml(
                model, "forebay", _types(layout), spark_session=_session(), target_opset=_OPSET
            )
    except Exception as error:  # onnxmltools raises whatever its converters meet
        raise Unsupported(f"this pipeline cannot become ONNX: {_why(error)}") from error
    _mend(proto, model.stages[-1])
    _one_type_assembled(proto.graph)
    names = {
        "prediction": LABEL if LABEL in predictor.functions else PREDICTION,
        "probability": PROBABILITIES,
    }
    last = model.stages[-1]
    made = {_param(last, f"{key}Col")[0]: name for key, name in names.items() if _param(last, f"{key}Col")}
    _whole_labels(proto, made)
    rename(proto.graph, made)
    keep_outputs(proto.graph, list(predictor.functions))
    return proto


def _types(layout: Layout) -> list[tuple[str, Any]]:
    from onnxmltools.convert.common.data_types import FloatTensorType, StringTensorType  # noqa: PLC0415 (heavy)

    return [
        (name, (StringTensorType if datatype is DataType.BYTES else FloatTensorType)([None, 1]))
        for name, datatype in zip(layout.names, layout.datatypes, strict=True)
    ]


def _mend(proto: Any, last: Any) -> None:
    """Onnxmltools 1.16 writes a logistic where a multinomial regression has a softmax."""
    if getattr(last, "coefficientMatrix", None) is None or last.coefficientMatrix.numRows < 2:
        return
    for node in proto.graph.node:
        for attribute in node.attribute:
            if node.op_type == "LinearClassifier" and attribute.name == "post_transform":
                attribute.s = b"SOFTMAX"


def _one_type_assembled(graph: Any) -> None:
    """Onnxmltools 1.16 lets a VectorAssembler join whole numbers of a StringIndexer with floats."""
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    whole = {
        node.output[0]
        for node in graph.node
        if node.op_type == "LabelEncoder" and any(one.name == "values_int64s" for one in node.attribute)
    }
    nodes = list[Any]()
    for node in graph.node:
        for place, name in enumerate(node.input):
            if node.op_type == "Concat" and name in whole:
                node.input[place] = f"{name}__{len(nodes)}"
                nodes.append(helper.make_node("Cast", [name], [node.input[place]], to=TensorProto.FLOAT))
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _whole_labels(proto: Any, made: dict[str, str]) -> None:
    """Spark counts classes in floats; a label is a whole number."""
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    for value in proto.graph.output:
        if made.get(value.name) != LABEL or value.type.tensor_type.elem_type == TensorProto.INT64:
            continue
        old, new = value.name, f"{value.name}__float"
        for node in proto.graph.node:
            node.output[:] = [new if name == old else name for name in node.output]
            node.input[:] = [new if name == old else name for name in node.input]
        proto.graph.node.append(helper.make_node("Cast", [new], [old], to=TensorProto.INT64))
        value.type.tensor_type.elem_type = TensorProto.INT64


def _why(error: Exception) -> str:
    text = first_line(error)
    if "dropLast" in text:
        return (
            "its OneHotEncoder needs handleInvalid='keep' with dropLast=True, or handleInvalid='error' with "
            "dropLast=False; set these and fit again"
        )
    return text
