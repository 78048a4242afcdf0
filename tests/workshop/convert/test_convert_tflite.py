"""TFLite files become ONNX, as near to TFLite as its own kernels are to each other."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forebay.core import DataType
from forebay.core.errors import ForebayError
from forebay.workshop.convert import convert
from forebay.workshop.convert.sources.tflite_file import TfliteModel, _Interpreter
from support.asking import asked
from support.packed import CIFAR, member


def written(folder: Path, content: bytes) -> Path:
    (folder / "m.tflite").write_bytes(content)
    return folder / "m.tflite"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "'m.tflite' is no TFLite model: it is empty"),
        (b"TFL3 they said\n", "'m.tflite' is no TFLite model: it is text"),
        (b"\x80\x04\x95\x10\0\0\0\0", "'m.tflite' is no TFLite model: it is a pickle"),
    ],
)
def test_what_only_calls_itself_tflite_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ForebayError, match=told):
        convert(written(tmp_path, content))


@pytest.mark.slow
def test_a_quantised_resnet_answers_over_a_node_as_tflite_does(tmp_path: Path) -> None:
    file = member(CIFAR, "image_classification.tflite", tmp_path)
    converted = convert(file, labels=[f"c{number}" for number in range(10)])
    [image], [scores] = converted.signature.inputs, converted.signature.outputs
    assert (image.datatype, image.shape) == (DataType.INT8, (-1, 32, 32, 3))
    evidence = converted.evidence[0]
    assert evidence["quantisation"][scores.name] == {"scale": 1 / 256, "zero": -128}
    [found], [allowed] = evidence["outputs"].values(), evidence["yardstick_outputs"].values()
    assert found["mean_difference"] <= allowed["mean_difference"]
    assert evidence["rows_off"] <= evidence["yardstick_rows_off"]
    smooth = np.linspace(-100, 100, 32)[:, None, None] * np.array([1, -1, 0.5])
    pictures = np.stack([np.broadcast_to(smooth * k, (32, 32, 3)) for k in (1, -1, 0.3)]).astype(np.int8)
    tflite = _Interpreter(TfliteModel(file.read_bytes()), simple=False)
    expected = np.concatenate([tflite.run({image.name: pictures[i : i + 1]})[0] for i in range(3)])
    with asked(converted, tmp_path / "node") as ask:
        got = ask({image.name: pictures})[scores.name]
    np.testing.assert_array_equal(got.argmax(axis=1), expected.argmax(axis=1))
    assert np.abs(got.astype(int) - expected.astype(int)).mean() < 3


def made(folder: Path, function: Any, shape: tuple[int, ...]) -> Path:
    """What TensorFlow's own converter makes of *function*."""
    import tensorflow as tf  # noqa: PLC0415 (heavy)

    class Module(tf.Module):  # type: ignore[misc]  # TensorFlow is not read by mypy
        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])  # type: ignore[untyped-decorator]  # see above
        def serve(self, x: Any) -> Any:
            return {"y": function(tf, x)}

    module = Module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        concrete = module.serve.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        content: bytes = converter.convert()
    return written(folder, content)


@pytest.mark.slow
def test_a_file_with_a_fixed_batch_takes_any_and_keeps_its_names(tmp_path: Path) -> None:
    weights = np.arange(8, dtype=np.float32).reshape(4, 2)
    file = made(tmp_path, lambda tf, x: tf.nn.softmax(tf.matmul(x, weights)), (1, 4))
    converted = convert(file)
    [x] = converted.signature.inputs
    assert (x.name, x.shape) == ("x", (-1, 4))
    assert converted.evidence[0]["freed"] == ["batch"]
    rows = np.random.default_rng(0).random((5, 4), np.float32)
    with asked(converted, tmp_path / "node") as ask:
        [got] = ask({"x": rows}).values()
    raw = np.exp(rows @ weights)
    np.testing.assert_allclose(got, raw / raw.sum(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.slow
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    file = made(tmp_path, lambda tf, x: tf.nn.relu(x) + 1.0, (1, 4))
    with pytest.raises(ForebayError, match=r"TFLite itself refuses the model|cannot become ONNX"):
        convert(written(tmp_path, file.read_bytes()[:300]))
