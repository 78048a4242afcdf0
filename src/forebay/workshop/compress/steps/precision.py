"""Fewer bits for each number, by ONNX Runtime's quantiser."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from forebay.core import Tensors
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.graphs import consumers, put_weights, weights_of

_QUANTISED = ("QLinearConv", "QLinearMatMul", "QuantizeLinear", "DynamicQuantizeLinear", "MatMulNBits")
_TALKATIVE = ("", "onnxruntime.quantization.matmul_nbits_quantizer", "nncf")
_CHUNK = 32
_NEAREST_BLOCKS = (128, 64, 32, 16)
_FEWEST_WEIGHTS = 4096
_NONE = np.empty(0)


def half(draft: Draft, _bench: Bench) -> Draft:
    """Weights and arithmetic in fp16; inputs and outputs stay as they are."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 (heavy)

    need_weights(draft)
    return draft.with_proto(convert_float_to_float16(draft.proto(), keep_io_types=True))


def int8_dynamic(draft: Draft, _bench: Bench) -> Draft:
    """Weights in int8, activations measured in each call. Not for convolutions, which become far slower."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 (heavy)

    need_weights(draft)
    if not any(node.op_type in ("MatMul", "Gemm") for node in draft.proto().graph.node):
        raise Unsupported("it has no matrix products; convolutions become slower in dynamic int8")

    def quantise(given: Path, made: Path) -> None:
        quantize_dynamic(
            given,
            made,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"],
        )

    return by_files(draft, quantise)


def int8_static(method: str, *, symmetric: bool = False) -> Callable[[Draft, Bench], Draft]:
    """Weights (a channel at a time) and activations in int8, ranges from calibration by *method*."""

    def make(draft: Draft, bench: Bench) -> Draft:
        return quantised(draft, bench.calibration(), method, symmetric=symmetric)

    return make


def quantised(
    draft: Draft, rows: Tensors, method: str, *, symmetric: bool = False, leave: Sequence[str] = ()
) -> Draft:
    """Static int8 as pairs of Quantize and Dequantize (U8S8), the nodes named in *leave* left in float."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415 (heavy)

    need_weights(draft)
    methods = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }

    def quantise(given: Path, made: Path) -> None:
        ready = given.with_name("ready.onnx")
        quant_pre_process(given, ready, skip_symbolic_shape=True)
        _flatten_biases(ready)
        quantize_static(
            ready,
            made,
            rows_reader(rows),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=methods[method],
            nodes_to_exclude=list(leave),
            extra_options={"ActivationSymmetric": symmetric},
        )

    return by_files(draft, quantise)


def _flatten_biases(path: Path) -> None:
    """A bias of shape (1, n), as scikit-learn's converter writes it, as (n): the quantiser knows no other."""
    import onnx  # noqa: PLC0415 (heavy)

    proto = onnx.load(path)
    weights = weights_of(proto)
    wide = {
        node.input[2]: weights[node.input[2]].reshape(-1)
        for node in proto.graph.node
        if node.op_type == "Gemm" and len(node.input) > 2 and weights.get(node.input[2], _NONE).ndim == 2
    }
    alone = {
        name: bias for name, bias in wide.items() if all(n.op_type == "Gemm" for n in consumers(proto, name))
    }
    if alone:
        put_weights(proto, alone)
        del proto.graph.value_info[:]  # they tell of the old shapes
        onnx.save(proto, path)


def int4_weights(draft: Draft, _bench: Bench) -> Draft:
    """Large matrices in four bits, a scale for each block of a column."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer  # noqa: PLC0415 (heavy)

    proto = _products(draft)
    smallest = min((w.shape[0] for w in weights_of(proto).values() if w.ndim == 2), default=0)
    block = next((size for size in _NEAREST_BLOCKS if size <= smallest), 0)
    if not block:
        raise Unsupported("no matrix is large enough for blocks of four bits")
    with quiet():
        quantiser = MatMulNBitsQuantizer(proto, block_size=block, is_symmetric=True, accuracy_level=4)
        quantiser.process()
    made = quantiser.model.model
    if not any(node.op_type == "MatMulNBits" for node in made.graph.node):
        raise Unsupported("no matrix is large enough for blocks of four bits")
    return draft.with_proto(made)


def _products(draft: Draft) -> Any:
    """The graph with every `Gemm` as `MatMul` and `Add`, which is all that the quantiser looks for."""
    import onnx  # noqa: PLC0415 (heavy)

    from forebay.workshop.compress.graphs import checked, plain_gemm, put_weights, splice  # noqa: PLC0415

    proto = draft.proto()
    weights = weights_of(proto)
    for node in [n for n in proto.graph.node if plain_gemm(n) and n.input[1] in weights]:
        transposed = any(each.name == "transB" and each.i for each in node.attribute)
        matrix = weights[node.input[1]]
        name = f"{node.output[0]}_matrix"
        put_weights(proto, {name: matrix.T if transposed else matrix})
        bias = len(node.input) > 2 and node.input[2]
        product = f"{node.output[0]}_product" if bias else node.output[0]
        new = [onnx.helper.make_node("MatMul", [node.input[0], name], [product], name=f"{name}_product")]
        if bias:
            new.append(onnx.helper.make_node("Add", [product, node.input[2]], [node.output[0]]))
        splice(proto, node, new)
    return checked(proto)


def need_weights(draft: Draft) -> None:
    """Raise `Unsupported` unless there are weights in float32 to be quantised."""
    proto = draft.proto()
    if any(node.op_type in _QUANTISED for node in proto.graph.node):
        raise Unsupported("it is quantised already")
    floats = [w for w in weights_of(proto).values() if w.dtype == np.float32 and w.ndim > 1]
    if sum(w.size for w in floats) < _FEWEST_WEIGHTS:
        raise Unsupported("it has hardly any weights in float32")


def rows_reader(rows: Tensors) -> Any:
    """Calibration rows as the quantiser asks for them."""
    from onnxruntime.quantization import CalibrationDataReader  # noqa: PLC0415 (heavy)

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            count = len(next(iter(rows.values())))
            self._chunks = iter(
                {name: values[start : start + _CHUNK] for name, values in rows.items()}
                for start in range(0, count - count % _CHUNK or count, _CHUNK)
            )

        def get_next(self) -> Tensors | None:
            return next(self._chunks, None)

    return Reader()


def by_files(draft: Draft, work: Callable[[Path, Path], None]) -> Draft:
    """What *work* makes of *draft*, from one file to another."""
    import onnx  # noqa: PLC0415 (heavy)

    with TemporaryDirectory(prefix="forebay-") as folder, quiet():
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        given.write_bytes(draft.graph)
        work(given, made)
        return draft.with_proto(onnx.load(made))


@contextmanager
def quiet() -> Iterator[None]:
    """The quantiser's advice, on the root logger itself, is for its own users.

    A filter sees only what is logged right there: nobody else falls silent meanwhile, nor ever after.
    """

    def serious(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in loggers:
        logger.addFilter(serious)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(serious)
