"""A `.pt2` of torch.export, executed by torch in its own process."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import ZipFile

from forebay.core import Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.core.extras import need
from forebay.serving.runtime.apart.pt2 import SAMPLE_INPUTS, clean_copy

Model: TypeAlias = Callable[[Tensors], Tensors]

_TYPES = {
    "bool": DataType.BOOL,
    "uint8": DataType.UINT8,
    "uint16": DataType.UINT16,
    "uint32": DataType.UINT32,
    "uint64": DataType.UINT64,
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "int32": DataType.INT32,
    "int64": DataType.INT64,
    "float16": DataType.FP16,
    "bfloat16": DataType.BF16,
    "float32": DataType.FP32,
    "float64": DataType.FP64,
}


def load_pt2(folder: Path, info: ArtifactInfo, threads: int) -> tuple[Model, Signature]:
    """The program in *folder*, ready to be called; raises `Malformed`, or `Unsupported` without torch."""
    torch = need("torch", "torch")
    torch.set_num_threads(threads)
    program = load_clean(folder / info.model, Path(os.environ["HOME"]))
    graph = {node.name: node.meta.get("val") for node in program.graph.nodes}
    signature = Signature(
        _specs(graph, program.graph_signature.user_inputs, info.signature.inputs),
        _specs(graph, program.graph_signature.user_outputs, info.signature.outputs),
    )
    return _Program(torch, program, signature), signature


class _Program:
    def __init__(self, torch: Any, program: Any, signature: Signature) -> None:
        self._torch = torch
        self._module = program.module()
        self._in_spec = program.call_spec.in_spec
        self._signature = signature

    def __call__(self, inputs: Tensors) -> Tensors:
        torch, tree = self._torch, self._torch.utils._pytree  # noqa: SLF001 (what torch.export itself is built on)
        flat = [self._tensor(inputs[spec.name], spec) for spec in self._signature.inputs]
        args, kwargs = tree.tree_unflatten(flat, self._in_spec)
        try:
            with torch.no_grad():
                leaves = tree.tree_leaves(self._module(*args, **kwargs))
        except Exception as error:  # torch raises whatever an operator or a guard raises
            traceback.print_exc()
            raise Malformed(f"the model refused its input: {str(error).strip().splitlines()[0]}") from error
        outputs = zip(self._signature.outputs, leaves, strict=True)
        return {spec.name: self._array(leaf, spec) for spec, leaf in outputs}

    def _tensor(self, array: Array, spec: TensorSpec) -> Any:
        tensor = self._torch.from_numpy(array)
        return tensor.view(self._torch.bfloat16) if spec.datatype is DataType.BF16 else tensor

    def _array(self, tensor: Any, spec: TensorSpec) -> Array:
        tensor = tensor.contiguous()
        bits = tensor.view(self._torch.uint16) if spec.datatype is DataType.BF16 else tensor
        array: Array = bits.numpy()
        return array


def load_clean(file: Path, folder: Path) -> Any:
    """The program in *file*, cleared of all that torch would run; *folder* holds a copy for a while.

    Raises `Malformed` for what is no plain program.
    """
    torch = need("torch", "torch")
    copy = folder / "model.pt2"
    clean_copy(file, copy)
    try:
        _check_sample(torch, copy)
        return torch.export.load(copy)
    except Malformed:
        raise
    except Exception as error:  # torch raises whatever it stumbles over
        traceback.print_exc()
        raise Malformed(f"torch cannot load {file.name}: {str(error).strip().splitlines()[0]}") from error
    finally:
        copy.unlink()


def _check_sample(torch: Any, file: Path) -> None:
    """Torch loads example inputs as plain tensors, and unpickles whatever they are when that fails."""
    with ZipFile(file) as archive:
        for name in archive.namelist():
            if name.endswith(f"/{SAMPLE_INPUTS}"):
                try:
                    with archive.open(name) as sample:
                        torch.load(sample, weights_only=True)
                except Exception as error:  # see above
                    raise Malformed(
                        "the .pt2 has example inputs that are no plain tensors; refused"
                    ) from error


def _specs(
    graph: dict[str, Any], names: Sequence[str], declared: Sequence[TensorSpec]
) -> tuple[TensorSpec, ...]:
    """Tensors in torch's order, under the declared names where the graph's are torch's own."""
    shown = list(names)
    wanted = [spec.name for spec in declared]
    if len(wanted) == len(shown) and set(wanted) != set(shown):
        shown = wanted
    return tuple(_spec(shown[i], graph.get(name)) for i, name in enumerate(names))


def _spec(name: str, value: Any) -> TensorSpec:
    kind = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
    if kind not in _TYPES:
        raise Malformed(f"{name!r} is a {kind}; a served model takes and gives plain tensors")
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorSpec(name, _TYPES[kind], shape)
