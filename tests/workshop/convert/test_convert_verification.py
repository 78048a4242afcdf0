"""An artifact from anywhere is checked before anybody serves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from forebay.core import INFO_NAME, ArtifactInfo, DataType, Signature, TensorSpec
from forebay.core.errors import ForebayError
from forebay.workshop.convert import verify

DOUBLES = ArtifactInfo(
    Signature(
        (TensorSpec("x", DataType.FP32, (-1, 2)),),
        (TensorSpec("y", DataType.FP32, (-1, 2)),),
    )
)


def doubling(operator: str = "Add", *, external: str = "") -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])
    weight = numpy_helper.from_array(np.array([1.0, 2.0], np.float32), "w")
    if external:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=external)
    graph = helper.make_graph([helper.make_node(operator, ["x", "w"], ["y"])], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / INFO_NAME).write_bytes(DOUBLES.encode())
    (tmp_path / "model.onnx").write_bytes(doubling().SerializeToString())
    return tmp_path


def test_a_sound_artifact_is_run_on_zeros_when_it_has_no_sample(folder: Path) -> None:
    info, evidence = verify(folder)
    assert info == DOUBLES
    assert evidence["kind"] == "verification"
    assert evidence["rows"] == "zeros"


def test_weights_beside_the_model_are_part_of_the_artifact(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(doubling(external="w.bin").SerializeToString())
    with pytest.raises(ForebayError, match="weights are in 'w\\.bin', which is not among the files"):
        verify(folder)
    (folder / "w.bin").write_bytes(np.array([1.0, 2.0], np.float32).tobytes())
    verify(folder)


def told(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / INFO_NAME).write_bytes(msgspec.structs.replace(DOUBLES, **changes).encode())

    return change


def graph(model: onnx.ModelProto) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    return change


def sample(body: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        told(sample="sample.json")(folder)
        (folder / "sample.json").write_text(json.dumps(body))

    return change


def row(datatype: str, data: list[float]) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": datatype, "shape": [1, 2], "data": data}]}


def extra(name: str) -> Callable[[Path], None]:
    return content(name, b"x")


def content(name: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def signature(name: str = "x", datatype: DataType = DataType.FP32, columns: int = 2) -> Signature:
    return Signature((TensorSpec(name, datatype, (-1, columns)),), DOUBLES.signature.outputs)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: folder.joinpath(INFO_NAME).unlink(), "has no forebay.json"),
        (lambda folder: folder.joinpath(INFO_NAME).write_text("{"), "forebay.json cannot be read"),
        (lambda folder: folder.joinpath("model.onnx").unlink(), "'model.onnx', which is not among the files"),
        (lambda folder: folder.joinpath("model.onnx").write_bytes(b"garbage!"), "is no ONNX model"),
        (lambda folder: folder.joinpath("model.onnx").write_bytes(b""), "no ONNX model: it is empty"),
        (
            lambda folder: folder.joinpath("model.onnx").write_bytes(b"\x80\x04\x95\x05\0"),
            "'model.onnx' is no ONNX model: it is a pickle",
        ),
        (
            content("notes.txt", b"\x80\x04\x95\x05\0"),
            "'notes.txt' is not what its name says: it is a pickle",
        ),
        (content("notes.md", b"\x7fELF\0\0"), "'notes.md' is not what its name says: it is a program"),
        (content("rows.csv", b"a,b\0\0"), "'rows.csv' is not what its name says: it is no text"),
        (extra("model.pkl"), "'model.pkl' is code or a pickle"),
        (extra("weights.h5"), "'weights.h5' belongs to nothing"),
        (graph(doubling("NoSuchOperator")), "is no sound ONNX model: .*NoSuchOperator"),
        (graph(doubling(external="../../secret")), "no plain path inside an artifact"),
        (told(backend="tensorflow"), "no backend 'tensorflow'"),
        (told(signature=signature(name="z")), r"names the inputs \['z'\], the model has \['x'\]"),
        (told(signature=signature(datatype=DataType.FP64)), "input 'x' is FP64, the model says FP32"),
        (told(signature=signature(columns=3)), r"the shape \[-1, 3\], the model says \[-1, 2\]"),
        (told(sample="sample.json"), "'sample.json', which is not among the files"),
        (sample([]), "sample request cannot be read"),
        (
            sample(row("FP32", [1])),
            "cannot be read",
        ),
        (sample(row("FP64", [1, 2])), "FP64"),
        (
            sample({"inputs": [{"name": "x", "datatype": "FP32", "shape": [0, 2], "data": []}]}),
            "the sample request has no rows",
        ),
    ],
)
def test_what_is_wrong_with_an_artifact_is_told(
    folder: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    damage(folder)
    with pytest.raises(ForebayError, match=sentence):
        verify(folder)


def test_a_model_whose_rows_depend_on_their_company_may_not_be_batched(folder: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])
    total = helper.make_node("ReduceSum", ["x"], ["all"], keepdims=1)
    whole = helper.make_graph([total, helper.make_node("Sub", ["x", "all"], ["y"])], "g", [x], [y])
    opset = helper.make_opsetid("", 18)
    graph(helper.make_model(whole, opset_imports=[opset], ir_version=10))(folder)
    rows = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}]}
    sample(rows)(folder)
    with pytest.raises(ForebayError, match="answers the same row differently when other rows come with it"):
        verify(folder)


def test_texts_that_are_no_labels_are_compared_as_texts(folder: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.STRING, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.STRING, [None, 2])
    whole = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    graph(helper.make_model(whole, opset_imports=[helper.make_opsetid("", 18)], ir_version=10))(folder)
    texts = (TensorSpec("x", DataType.BYTES, (-1, 2)),), (TensorSpec("y", DataType.BYTES, (-1, 2)),)
    told(signature=Signature(*texts))(folder)
    assert verify(folder)[1]["batches"]


def test_a_model_that_answers_one_row_at_a_time_is_run_so(folder: Path) -> None:
    one = Signature(
        (TensorSpec("x", DataType.FP32, (1, 2)),),
        (TensorSpec("y", DataType.FP32, (1, 2)),),
    )
    told(signature=one)(folder)
    assert not verify(folder)[1]["batches"]
