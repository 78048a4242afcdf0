"""An ONNX file from anywhere is looked over, named, freed and proved, or refused with a sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from forebay.core import DataType
from forebay.core.errors import ForebayError, Malformed
from forebay.workshop.convert import Converted, convert, verify
from forebay.workshop.convert.running import answer, opened
from support.asking import asked
from support.tiny_models import gatherer, scaler

FLOAT = TensorProto.FLOAT
Values = list[onnx.NodeProto]


def model(
    nodes: Values,
    shape: list[Any],
    out: list[Any],
    weights: dict[str, Any] | None = None,
    *,
    opset: int = 18,
    ir: int = 9,
) -> onnx.ModelProto:
    constants = [numpy_helper.from_array(np.asarray(w), name) for name, w in (weights or {}).items()]
    x = helper.make_tensor_value_info("x", FLOAT, shape)
    y = helper.make_tensor_value_info("y", FLOAT, out)
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def doubling(shape: list[Any], **more: Any) -> onnx.ModelProto:
    return model([helper.make_node("Add", ["x", "x"], ["y"])], shape, shape, **more)


def saved(proto: onnx.ModelProto, folder: Path, name: str = "m.onnx") -> Path:
    (folder / name).write_bytes(proto.SerializeToString())
    return folder / name


def run(converted: Converted, x: Any) -> Any:
    with opened(converted.files, converted.info) as backend:
        return answer(backend, {"x": x})


def test_a_file_is_published_under_the_names_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(scaler(3.0))
    converted = convert(tmp_path / "m.onnx")
    [x], [y] = converted.signature.inputs, converted.signature.outputs
    assert (x.name, x.datatype, x.shape) == ("x", DataType.FP32, (-1, 3))
    assert (y.name, y.datatype, y.shape) == ("y", DataType.FP32, (-1, 3))
    converted.save(tmp_path / "artifact")
    assert verify(tmp_path / "artifact")[1]["rows"] == "sample"
    with asked(converted, tmp_path / "node") as ask:
        np.testing.assert_array_equal(ask.sample()["y"], 3 * converted.sample["x"])


def test_a_graph_in_memory_is_published_like_its_file() -> None:
    converted = convert(onnx.load_from_string(scaler()), np.ones((5, 3), np.float32), columns=["a", "b", "c"])
    assert converted.signature.inputs[0].columns == ("a", "b", "c")
    assert len(converted.sample["x"]) == 5


def test_whole_numbers_that_are_places_in_a_table_are_made_up_small_enough(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(gatherer())
    assert convert(tmp_path / "m.onnx").sample["x"].max() < 2


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_let_go_where_the_answers_stay_the_same(batch: int, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "wide"], ["w"]),
        helper.make_node("MatMul", ["w", "eye"], ["m"]),
        helper.make_node("Reshape", ["m", "flat"], ["y"]),
    ]
    constants = {
        "wide": np.array([batch, 2, 3]),
        "flat": np.array([batch, -1]),
        "eye": np.eye(3, dtype=np.float32) * 2,
    }
    converted = convert(saved(model(nodes, [batch, 6], [batch, 6], constants), tmp_path))
    assert converted.signature.inputs[0].shape == (-1, 6)
    assert converted.signature.batches
    assert converted.evidence[0]["freed"] == ["batch"]
    rows = np.random.default_rng(0).random((11, 6), np.float32)
    np.testing.assert_allclose(run(converted, rows)["y"], 2 * rows, rtol=1e-6)


def test_a_fixed_batch_stays_where_the_rows_depend_on_each_other(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["all"], keepdims=1),
        helper.make_node("Sub", ["x", "all"], ["y"]),
    ]
    converted = convert(saved(model(nodes, [2, 3], [2, 3]), tmp_path))
    assert converted.signature.inputs[0].shape == (2, 3)
    assert converted.evidence[0]["freed"] == []


def test_rows_that_depend_on_their_company_are_asked_one_by_one(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    file = saved(model(nodes, ["batch", 3], ["batch", 3]), tmp_path)
    sample = np.array([[0.1, 0.2, 0.3], [1000.0, -1000.0, 500.0]], np.float32)
    converted = convert(file, sample)
    assert converted.signature.inputs[0].shape == (1, 3)
    assert converted.evidence[0]["row_by_row"] is True
    converted.save(tmp_path / "artifact")
    verify(tmp_path / "artifact")


def zipped(labels: list[Any]) -> onnx.ModelProto:
    import skl2onnx  # noqa: PLC0415 (heavy)

    x, species = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=500).fit(x, np.array(labels)[species])
    opsets = {"": 18, "ai.onnx.ml": 3}
    made: onnx.ModelProto = skl2onnx.to_onnx(fitted, x[:1].astype(np.float32), target_opset=opsets)
    return made


@pytest.mark.parametrize(
    "labels", [["setosa", "versicolor", "virginica"], [3, 5, 7]], ids=["texts", "numbers"]
)
def test_the_dictionaries_of_a_zipmap_become_a_tensor_with_named_columns(
    labels: list[Any], tmp_path: Path
) -> None:
    proto = zipped(labels)
    assert "seq(map" in str(opened_types(proto))
    converted = convert(saved(proto, tmp_path), load_iris().data[::3].astype(np.float32))
    label, probabilities = converted.signature.outputs
    assert (label.name, probabilities.name) == ("label", "probabilities")
    assert probabilities.columns == tuple(map(str, labels))
    assert converted.info.task == "classification"
    assert converted.evidence[0]["outputs"]["label"]["equal"] == 1.0
    assert converted.evidence[0]["outputs"]["probabilities"]["max_difference"] == 0.0


def opened_types(proto: onnx.ModelProto) -> list[str]:
    import onnxruntime  # noqa: PLC0415 (only here)

    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return [node.type for node in session.get_outputs()]


@pytest.mark.parametrize(
    "text",
    ["{0: 'cat', 1: 'dog', 2: 'owl'}", '["cat", "dog", "owl"]', '{"0": "cat", "1": "dog", "2": "owl"}'],
)
def test_class_names_in_the_metadata_name_the_columns(text: str, tmp_path: Path) -> None:
    proto = onnx.load_from_string(scaler())
    helper.set_model_props(proto, {"names": text, "author": "somebody"})
    converted = convert(saved(proto, tmp_path))
    assert converted.signature.outputs[0].columns == ("cat", "dog", "owl")
    assert converted.evidence[0]["metadata"]["author"] == "somebody"


def test_names_from_the_owner_come_before_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(scaler())
    named = convert(tmp_path / "m.onnx", labels=["u", "v", "w"])
    assert named.signature.outputs[0].columns == ("u", "v", "w")
    with pytest.raises(Malformed, match="2 column names do not fit"):
        convert(tmp_path / "m.onnx", columns=["a", "b"])


def test_weights_listed_as_inputs_are_no_inputs(tmp_path: Path) -> None:
    proto = onnx.load_from_string(scaler())
    proto.graph.input.append(helper.make_tensor_value_info("factor", FLOAT, [1]))
    assert [spec.name for spec in convert(saved(proto, tmp_path)).signature.inputs] == ["x"]


def beside(folder: Path, location: str = "w.bin", length: int = 12) -> Path:
    """A model whose weights lie in another file."""
    proto = model([helper.make_node("Add", ["x", "w"], ["y"])], [None, 3], [None, 3])
    weight = numpy_helper.from_array(np.array([1, 2, 3], np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    weight.external_data.add(key="length", value=str(length))
    proto.graph.initializer.append(weight)
    return saved(proto, folder)


def test_weights_beside_the_file_come_into_it(tmp_path: Path) -> None:
    file = beside(tmp_path)
    (tmp_path / "w.bin").write_bytes(np.array([1, 2, 3], np.float32).tobytes())
    for path in (file, tmp_path):
        converted = convert(path)
        assert list(converted.files) == ["model.onnx"]
        np.testing.assert_array_equal(run(converted, np.zeros((1, 3), np.float32))["y"], [[1, 2, 3]])


def outside(folder: Path) -> Path:
    (folder / "home").mkdir()
    (folder / "secret").write_bytes(bytes(12))
    return beside(folder / "home", "../secret")


def linked(folder: Path) -> Path:
    (folder / "home").mkdir()
    (folder / "secret").write_bytes(bytes(12))
    (folder / "home" / "w.bin").symlink_to(folder / "secret")
    return beside(folder / "home")


def short(folder: Path) -> Path:
    (folder / "w.bin").write_bytes(bytes(8))
    return beside(folder)


def huge(folder: Path) -> Path:
    with (folder / "m.onnx").open("wb") as file:
        os.truncate(file.fileno(), 1 << 31)  # a hole, which takes no room
    return folder / "m.onnx"


def hidden_operator(folder: Path) -> Path:
    """An operator of somebody's own, inside a branch."""
    inner = helper.make_graph(
        [helper.make_node("Steal", ["x"], ["t"], domain="com.evil")],
        "inner",
        [],
        [helper.make_tensor_value_info("t", FLOAT, [None, 3])],
    )
    yes = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
    branch = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
    proto = model([yes, branch], [None, 3], [None, 3])
    proto.opset_import.append(helper.make_opsetid("com.evil", 1))
    return saved(proto, folder)


def written(data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "m.onnx").write_bytes(data)
        return folder / "m.onnx"

    return make


def two_models(folder: Path) -> Path:
    (folder / "a.onnx").write_bytes(scaler())
    (folder / "b.onnx").write_bytes(scaler())
    return folder


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (written(b""), "'m.onnx' is no ONNX model: it is empty"),
        (written(b"not a model, but a letter\n" * 30), "'m.onnx' is no ONNX model: it is text"),
        (written(json.dumps({"ir_version": 8}).encode()), "it is text"),
        (written(b"\x80\x04\x95\x10\0\0\0\0\0\0\0"), "it is a pickle"),
        (written(b"cos\nsystem\n(S'true'\ntR."), "it is a pickle"),
        (written(b"\x89HDF\r\n\x1a\n" + bytes(50)), "it is an HDF5 file"),
        (written(b"\x1f\x8b" + bytes(50)), r"it is an archive \(gzip\)"),
        (written(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "type `git lfs pull`"),
        (written(scaler(repeats=3)[:-150]), "'m.onnx' is no ONNX model, or is damaged"),
        (written(bytes(range(256))), "is no ONNX model, or is damaged"),
        (huge, "has 2.1 GB, and one ONNX file holds at most 2 GiB"),
        (beside, "weights are in 'w.bin', which is not among the files"),
        (short, "'w.bin' is cut off: the weights of the model end at byte 12, the file does at 8"),
        (outside, "no plain path inside an artifact"),
        (linked, "'w.bin' lie outside its folder"),
        (lambda folder: beside(folder, "/etc/passwd"), "no plain path inside an artifact"),
        (hidden_operator, r"needs operators of its own \(com.evil.Steal\)"),
        (lambda folder: saved(doubling([None, 3], opset=99), folder), "operators of version 99"),
        (lambda folder: saved(doubling([None, 3], ir=99), folder), "IR 99"),
        (lambda folder: saved(doubling([None, 3], opset=5), folder), r"version_converter.convert_version"),
        (
            lambda folder: saved(model([helper.make_node("Erfc", ["x"], ["y"])], [1, 3], [1, 3]), folder),
            "no sound ONNX model: .*Erfc",
        ),
        (
            lambda folder: saved(model([helper.make_node("Identity", ["x"], ["y"])], [2, 3], [2, 4]), folder),
            "no sound ONNX model",
        ),
        (two_models, r"holds several models \(a.onnx, b.onnx\); publish each file for itself"),
    ],
)
def test_what_is_no_sound_onnx_is_refused_before_it_runs(
    make: Callable[[Path], Path], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ForebayError, match=told):
        convert(make(tmp_path))


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ({"x": np.ones((2, 4), np.float32)}, r"takes the shape \[-1, 3\]"),
        ({"z": np.ones((2, 3), np.float32)}, "no input 'z'"),
        (np.zeros((0, 3), np.float32), "the sample is empty"),
        (np.array([["a", "b", "c"]]), "the sample's 'x' is"),
    ],
)
def test_rows_that_are_not_the_models_are_refused(sample: Any, told: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(scaler())
    with pytest.raises(Malformed, match=told):
        convert(tmp_path / "m.onnx", sample)


def sevens(folder: Path) -> Path:
    """A model that takes seven numbers, or fourteen, and does not say so."""
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    return saved(model(nodes, [None, None], [None, 7], {"s": np.array([-1, 7])}), folder)


def test_a_model_that_takes_no_made_up_rows_asks_for_real_ones(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="those rows were made up, so give real ones: sample="):
        convert(sevens(tmp_path))


def test_a_node_warms_a_model_up_with_rows_that_it_takes(tmp_path: Path) -> None:
    converted = convert(sevens(tmp_path), np.ones((2, 7), np.float32))
    with asked(converted, tmp_path / "node") as ask:
        assert ask.sample()["y"].shape == (2, 7)
