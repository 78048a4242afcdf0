"""Programs of `torch.export`: a graph and its weights, without a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.networks import Network, draft_of, named
from forebay.workshop.convert.sources import torch_onnx
from forebay.workshop.convert.sources.torch_running import flat, names_apart, to_numpy


def is_program(model: object) -> bool:
    """Whether *model* came from `torch.export.export` or `torch.export.load`."""
    return type(model).__name__ == "ExportedProgram"


def draft_of_program(program: Any, given: Given) -> Draft:
    """The draft of an exported program; without a sample, its own example inputs are asked."""
    import torch  # noqa: PLC0415 (heavy)

    _must_answer(program)
    names = list(program.graph_signature.user_inputs)
    varying = _varying(program, names)
    rows = _examples(program, names) if given.sample is None else named(given.sample, names, "the program")
    asked = _Asked(program, names)
    version = str(torch.__version__).partition("+")[0]
    network = Network(f"PyTorch {version} exported program", asked.ask, asked.export, varying=varying)
    return draft_of(network, rows, given, rows_from="the program's own example")


class _Asked:
    """An exported program, asked for named arrays."""

    def __init__(self, program: Any, names: list[str]) -> None:
        self._program = program
        self._names = names
        self._module = program.module()

    def ask(self, rows: Tensors) -> Tensors:
        """The program's answers."""
        import torch  # noqa: PLC0415 (heavy)
        from torch.utils import _pytree  # noqa: PLC0415 (heavy; the specs of programs are its own)

        leaves = [torch.from_numpy(np.array(rows[name])) for name in self._names]
        arguments, keywords = _pytree.tree_unflatten(leaves, self._program.call_spec.in_spec)
        with torch.no_grad():
            answers = flat(self._module(*arguments, **keywords))
        return to_numpy(dict(zip(names_apart(list(answers), self._names), answers.values(), strict=True)))

    def export(self, rows: Tensors) -> Any:
        """The program as ONNX."""
        try:
            return torch_onnx.export_program(self._program, list(self.ask(rows)))
        except Exception as error:  # the exporter lets anything through
            raise torch_onnx.explained(error) from error


def _varying(program: Any, names: list[str]) -> dict[str, tuple[int, ...]]:
    """The axes besides the rows that have no fixed size; raises `Unsupported` where the rows have one."""
    shapes = {
        node.name: node.meta["val"].shape
        for node in program.graph.nodes
        if node.name in names and "val" in node.meta
    }
    fixed = {name: shape[0] for name, shape in shapes.items() if not len(shape) or isinstance(shape[0], int)}
    if fixed:
        told = ", ".join(f"{name} {rows}" for name, rows in fixed.items())
        raise Unsupported(
            f"the program was exported for a fixed number of rows ({told}); export it for any: "
            "torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim('batch')},))"
        )
    found = {
        name: tuple(axis for axis, size in enumerate(shape) if axis and not isinstance(size, int))
        for name, shape in shapes.items()
    }
    return {name: axes for name, axes in found.items() if axes}


def _examples(program: Any, names: list[str]) -> Tensors:
    from torch.utils import _pytree  # noqa: PLC0415 (as above)

    leaves = _pytree.tree_leaves(program.example_inputs) if program.example_inputs else []
    if len(leaves) != len(names):
        raise Malformed("the program came without example inputs; pass sample=X_test[:100]")
    return to_numpy(dict(zip(names, leaves, strict=True)))


def _must_answer(program: Any) -> None:
    """Refuse a program that drops out: it was exported while it learned."""
    for node in program.graph.nodes:
        name = str(node.target)
        learns = (name.startswith("aten.dropout") and node.args[2:3] == (True,)) or (
            name.startswith("aten.batch_norm") and node.args[5:6] == (True,)
        )
        if learns:
            raise Unsupported(
                "the program was exported in training mode; call model.eval() before torch.export"
            )
