"""A function of TensorFlow → ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from forebay.core.extras import need
from forebay.workshop.convert.networks import Expected
from forebay.workshop.convert.sources.tensorflow_quiet import quiet

OPSET = 18


def trace(call: Callable[..., list[Any]], inputs: Sequence[Expected]) -> Any:
    """The ONNX model of *call*, which takes a tensor for each of *inputs* and gives a list of them.

    Raises whatever TensorFlow and tf2onnx raise.
    """
    tf = need("tensorflow", "keras")
    tf2onnx = need("tf2onnx", "keras")
    with quiet():
        function = tf.function(call, autograph=False)
        specs = [tf.TensorSpec((None, *spec.shape), spec.dtype) for spec in inputs]
        captures = function.get_concrete_function(*specs).graph.captures
        proto, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET)
    _fill_in(proto.graph, {inner.name: outer for outer, inner in captures if outer.dtype != tf.resource})
    return proto


def _fill_in(graph: Any, captured: dict[str, Any]) -> None:
    """What the function has from outside, as `Normalization` its mean, tf2onnx takes for more inputs."""
    from onnx import numpy_helper  # noqa: PLC0415 (heavy)

    for value in [value for value in graph.input if value.name in captured]:
        graph.input.remove(value)
        graph.initializer.append(numpy_helper.from_array(captured[value.name].numpy(), value.name))
