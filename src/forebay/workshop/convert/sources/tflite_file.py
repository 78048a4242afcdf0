"""TFLite files: converted to ONNX through tf2onnx, and compared with TFLite's own interpreter.

The interpreter has two sets of kernels, fast ones and simple ones, which round differently. Where they
disagree about a quantised model, that is the measure: the converted model may be as far from the fast
ones as the simple ones are, on the average, and no farther.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.graph import rename
from forebay.workshop.convert.looks import head_of, looks_like
from forebay.workshop.convert.parity import TOLERANCE, Different, compare
from forebay.workshop.convert.running import answer, first_line, opened
from forebay.workshop.convert.sources.onnx_graph import Original, graph_draft

_MAGIC = b"TFL3"
_OPSET = 18


@dataclass(frozen=True, slots=True)
class TfliteModel:
    """The bytes of a file that says that it is one."""

    content: bytes


class TfliteFile:
    """A `.tflite` file, quantised or not."""

    name = "TFLite"

    def knows(self, model: object) -> bool:
        return isinstance(model, TfliteModel)

    def reads(self, path: Path) -> bool:
        return path.is_file() and (path.suffix.lower() == ".tflite" or head_of(path)[4:8] == _MAGIC)

    def runs_code(self, _path: Path) -> str | None:
        return None

    def load(self, path: Path) -> TfliteModel:
        content = path.read_bytes()
        if content[4:8] != _MAGIC:
            what = looks_like(path)
            raise Malformed(f"{path.name!r} is no TFLite model{f': it is {what}' if what else ''}")
        return TfliteModel(content)

    def draft(self, model: TfliteModel, given: Given) -> Draft:
        fast, simple = _interpreters(model)
        proto = _to_onnx(model)
        rename(proto.graph, fast.names)
        asked = Original(
            f"TFLite with TensorFlow {fast.version}",
            proto,
            _Asker(fast, proto).ask,
            {"quantisation": fast.quantisation},
        )
        draft = graph_draft(asked, given)
        return _judged(draft, draft.ask, _Asker(simple, proto).ask) if draft.ask else draft


class _Interpreter:
    """One interpreter with one set of kernels; it takes one size of input at a time."""

    def __init__(self, model: TfliteModel, *, simple: bool) -> None:
        tensorflow = need("tensorflow", "keras")
        kinds = tensorflow.lite.experimental.OpResolverType
        kernels = kinds.BUILTIN_REF if simple else kinds.AUTO
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it will live in a package of its own
                self._it = tensorflow.lite.Interpreter(
                    model_content=model.content, experimental_op_resolver_type=kernels, num_threads=1
                )
            self._it.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise Malformed(f"TFLite itself refuses the model: {first_line(error)}") from error
        self.version = tensorflow.__version__
        self.inputs: list[dict[str, Any]] = self._it.get_input_details()
        self.outputs: list[dict[str, Any]] = self._it.get_output_details()
        self.names = _names_of(self._it, self.inputs, self.outputs)

    @property
    def quantisation(self) -> dict[str, dict[str, float]]:
        """How whole numbers mean real ones: real = scale · (whole - zero)."""
        return {
            self.names[each["name"]]: {
                "scale": float(each["quantization"][0]),
                "zero": int(each["quantization"][1]),
            }
            for each in (*self.inputs, *self.outputs)
            if each["quantization"][0]
        }

    def run(self, tensors: Tensors) -> list[Array]:
        """The outputs for *tensors*, whatever their size."""
        for each in self.inputs:
            self._it.resize_tensor_input(each["index"], tensors[self.names[each["name"]]].shape, strict=False)
        self._it.allocate_tensors()
        for each in self.inputs:
            self._it.set_tensor(each["index"], tensors[self.names[each["name"]]])
        self._it.invoke()
        return [np.array(self._it.get_tensor(each["index"])) for each in self.outputs]


class _Asker:
    """An interpreter, asked row by row, with its outputs in the order of the converted graph."""

    def __init__(self, interpreter: _Interpreter, proto: Any) -> None:
        self._interpreter = interpreter
        wanted = [value.name for value in proto.graph.output]
        names = [interpreter.names[each["name"]] for each in interpreter.outputs]
        self._order = [names.index(name) for name in wanted]

    def ask(self, tensors: Tensors) -> list[Any]:
        """As `Original.ask`; raises `Malformed` for what the interpreter does not take."""
        rows = {len(values) for values in tensors.values() if values.ndim}
        try:
            if len(rows) != 1:
                found = [self._interpreter.run(tensors)]
            else:
                [count] = rows
                found = [
                    self._interpreter.run({n: v[row : row + 1] for n, v in tensors.items()})
                    for row in range(count)
                ]
        except (ValueError, RuntimeError) as error:
            raise Malformed(f"TFLite refuses the rows: {first_line(error)}") from error
        return [np.concatenate([outputs[place] for outputs in found]) for place in self._order]


def _interpreters(model: TfliteModel) -> tuple[_Interpreter, _Interpreter]:
    return _Interpreter(model, simple=False), _Interpreter(model, simple=True)


def _names_of(interpreter: Any, *details: list[dict[str, Any]]) -> dict[str, str]:
    """What the tensors are called: as the model's only signature says, else as they are, without `:0`."""
    names = {each["name"]: each["name"].removesuffix(":0") for side in details for each in side}
    signatures = interpreter.get_signature_list()
    if len(signatures) == 1:
        runner = interpreter.get_signature_runner(next(iter(signatures)))
        for found in (runner.get_input_details(), runner.get_output_details()):
            names |= {detail["name"]: name for name, detail in found.items() if detail["name"] in names}
    return names if len(set(names.values())) == len(names) else {name: name for name in names}


def _to_onnx(model: TfliteModel) -> Any:
    tf2onnx = need("tf2onnx", "keras")
    with TemporaryDirectory() as folder, _quiet() as said:
        path = Path(folder) / "model.tflite"
        path.write_bytes(model.content)
        try:
            proto, external = tf2onnx.convert.from_tflite(str(path), opset=_OPSET)
        except Exception as error:  # tf2onnx and what it reads with raise whatever they like
            raise Unsupported(f"this TFLite model cannot become ONNX: {_reason(said, error)}") from error
    if external is not None:
        raise Unsupported("this TFLite model cannot become ONNX: it is larger than one ONNX file can be")
    strange = sorted({node.op_type for node in proto.graph.node if node.op_type.startswith("TFL_")})
    if strange:
        names = ", ".join(name.removeprefix("TFL_") for name in strange[:5])
        raise Unsupported(
            f"this TFLite model has operators that have no place in ONNX: {names}; "
            "convert the Keras model or SavedModel that it was made of"
        )
    return proto


@contextlib.contextmanager
def _quiet() -> Iterator[list[str]]:
    """tf2onnx reports on its log, and says there what it cannot convert."""
    said: list[str] = []
    keeper = logging.Handler(logging.ERROR)
    keeper.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]  # a list is all
    log = logging.getLogger("tf2onnx")
    level, propagates = log.level, log.propagate
    log.addHandler(keeper)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield said
    finally:
        log.removeHandler(keeper)
        log.setLevel(level)
        log.propagate = propagates


def _reason(said: list[str], error: Exception) -> str:
    return said[0].partition("\n")[0][:300] if said else first_line(error)


def _judged(draft: Draft, fast: Any, simple_list: Any) -> Draft:
    """The draft itself where both sets of kernels agree; else judged by how far apart these are."""
    expected = fast(draft.rows)
    names = [spec.name for spec in draft.info.signature.outputs]
    simple = dict(zip(names, simple_list(draft.rows), strict=True))
    between = compare(expected, simple, TOLERANCE)
    if not between.off:
        return draft
    with opened(draft.files, draft.info) as backend:
        found = compare(expected, answer(backend, draft.rows), TOLERANCE)
    for name, figures in found.outputs.items():
        apart, allowed = figures["mean_difference"], between.outputs[name]["mean_difference"]
        if apart > allowed:
            raise Different(
                f"the converted model is {apart:.4g} from TFLite in {name!r} on the average, and TFLite's "
                f"own kernels are only {allowed:.4g} from each other; worst is row {found.worst}: "
                f"{found.describe_worst()}"
            )
    evidence = {
        **draft.evidence,
        "kind": "parity",
        "rows": found.rows,
        "rows_off": len(found.off),
        "outputs": found.outputs,
        "yardstick": "TFLite's simple kernels beside its fast ones",
        "yardstick_rows_off": len(between.off),
        "yardstick_outputs": between.outputs,
    }
    return replace(draft, ask=None, evidence=evidence)
