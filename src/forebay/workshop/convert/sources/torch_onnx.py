"""PyTorch → ONNX: `torch.export` first, TorchScript for what decides by its data."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forebay.core.errors import Unsupported

OPSET = 18
_SCRIPT_OPSET = 17
_LOGGERS = ("torch.onnx", "torch.export", "torch.fx", "torch._dynamo", "onnxscript")


def export(
    adapter: Any,
    inputs: Sequence[Any],
    names: Sequence[str],
    outputs: Sequence[str],
    varying: Mapping[str, Sequence[int]],
) -> Any:
    """The ONNX model of *adapter*, which takes tensors by position and gives a tuple of them."""
    import torch  # noqa: PLC0415 (heavy)

    shapes = {"inputs": tuple(_axes(name, varying) for name in names)}
    with quiet():
        program = torch.onnx.export(
            adapter,
            tuple(inputs),
            None,
            dynamo=True,
            input_names=list(names),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            verbose=False,
        )
    return program.model_proto


def export_program(program: Any, outputs: Sequence[str]) -> Any:
    """The ONNX model of a `torch.export.ExportedProgram`."""
    import torch  # noqa: PLC0415 (heavy)

    with quiet():
        done = torch.onnx.export(
            program, None, None, dynamo=True, output_names=list(outputs), opset_version=OPSET, verbose=False
        )
    return done.model_proto


def export_script(
    script: Any,
    inputs: Sequence[Any],
    names: Sequence[str],
    outputs: Sequence[str],
    varying: Mapping[str, Sequence[int]],
) -> Any:
    """The ONNX model of a TorchScript module, whose `if` and `while` become ONNX's own."""
    import onnx  # noqa: PLC0415 (heavy)
    import torch  # noqa: PLC0415 (heavy)

    axes = {name: {0: "batch"} | {axis: f"{name}_{axis}" for axis in varying.get(name, ())} for name in names}
    axes |= {name: {0: "batch"} for name in outputs}
    file = io.BytesIO()
    with quiet():
        torch.onnx.export(
            script,
            tuple(inputs),
            file,
            dynamo=False,
            input_names=list(names),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=_SCRIPT_OPSET,
        )
    return onnx.load_from_string(file.getvalue())


def scripted(module: Any) -> Any:
    """*module* as TorchScript; raises what `torch.jit.script` raises, which is anything."""
    import torch  # noqa: PLC0415 (heavy)

    with quiet():
        return torch.jit.script(module)


def decides_by_data(error: Exception) -> bool:
    """Whether the export failed at an `if` or a loop over values that are known only later."""
    return "data-dependent" in str(error) or "DataDependent" in str(error)


def explained(error: Exception) -> Unsupported:
    """What stands in the way, and the line of the model where it does."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    where = re.findall(r'File "[^"]*?([^/"]+)", line (\d+), in (\w+)\n\s*(\S[^\n]*)', text)
    place = f": line {where[-1][1]} of {where[-1][0]}, `{where[-1][3]}`" if where else ""
    if decides_by_data(error):
        return Unsupported(
            f"the network decides by its data{place}, and a graph is the same for all rows; "
            "compute both sides and choose with torch.where"
        )
    missing = re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)'", text)
    if missing:
        return Unsupported(
            f"{missing[1]} has no place in ONNX{place}; write it with other operators of torch"
        )
    if "Constraints violated" in text or "specialized" in text:
        return Unsupported(
            f"the network works for one number of rows, or one length, only{place}: it has that number built "
            "in; take it from the input, as in x.shape[0]"
        )
    return Unsupported(f"the network cannot become ONNX{place}: {_summary(text)}")


def _summary(text: str) -> str:
    """The exporter's own words for it, which stand below a heading."""
    _, found, below = text.partition("## Exception summary")
    lines = [line.strip() for line in (below if found else text).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]


def _axes(name: str, varying: Mapping[str, Sequence[int]]) -> dict[int, Any]:
    import torch  # noqa: PLC0415 (heavy)

    return {0: torch.export.Dim("batch")} | {
        axis: torch.export.Dim(f"length_{axis}") for axis in varying.get(name, ())
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporters tell of their own affairs: deprecated insides, graphs, a missing torchvision."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        nowhere = io.StringIO()
        with (
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
