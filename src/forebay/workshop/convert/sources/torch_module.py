"""PyTorch: modules in memory, programs of `torch.export`, weights with their class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forebay.core import Tensors
from forebay.core.errors import Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.networks import Network, draft_of, named
from forebay.workshop.convert.networks.rows import repeated
from forebay.workshop.convert.recognising import called, is_from
from forebay.workshop.convert.sources import torch_files, torch_onnx
from forebay.workshop.convert.sources.torch_program import draft_of_program, is_program
from forebay.workshop.convert.sources.torch_running import (
    at_rest,
    bare,
    check_precision,
    flat,
    in_its_own_precision,
    names_apart,
    parameters_of_forward,
    rows_refused,
    takes_keywords,
    tensors_for,
    to_numpy,
)


class PyTorch:
    """The source for `torch.nn.Module`, `.pt2`, and state dicts."""

    name = "PyTorch"

    def knows(self, model: object) -> bool:
        return is_from(model, "torch") or torch_files.is_state(model)

    def reads(self, path: Path) -> bool:
        return torch_files.reads(path)

    def runs_code(self, path: Path) -> str | None:
        return torch_files.runs_code(path)

    def load(self, path: Path) -> Any:
        need("torch", "torch")
        return torch_files.load(path)

    def draft(self, model: Any, given: Given) -> Draft:
        need("torch", "torch")
        need("onnxscript", "torch")
        if torch_files.is_state(model):
            model = torch_files.filled(given.into, model)
        if is_program(model):
            return draft_of_program(model, given)
        if not hasattr(model, "forward"):
            raise Unsupported(
                f"a {called(model)} is no network; publish the torch.nn.Module that has forward"
            )
        model = bare(model)
        check_precision(model)
        names = parameters_of_forward(model)
        if given.sample is None:
            raise rows_refused(names)
        rows = in_its_own_precision(model, named(given.sample, names, "forward"), given.sample)
        return draft_of(
            Module(model, list(rows)).network(f"PyTorch {_version()} {type(model).__name__}"), rows, given
        )


class Module:
    """A module, asked for named arrays."""

    def __init__(
        self, module: Any, names: list[str], varying: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        self.module = module
        self._names = names
        self._varying = varying or {}
        self._script = type(module).__module__.startswith("torch.jit")
        self._keywords = not self._script and takes_keywords(module, names)

    def network(self, origin: str, **more: Any) -> Network:
        """What `draft_of` takes."""
        return Network(origin, self.ask, self.export, varying=self._varying, **more)

    def ask(self, rows: Tensors) -> Tensors:
        """The answers of `forward`."""
        with at_rest(self.module):
            return to_numpy(self._named_answers(tensors_for(self.module, rows)))

    def export(self, rows: Tensors) -> Any:
        """The module as ONNX; where `torch.export` gives up at an `if`, TorchScript is asked."""
        inputs = tensors_for(self.module, self._typical(rows))
        with at_rest(self.module):
            outputs = list(self._named_answers(inputs))
            if self._script:
                return torch_onnx.export_script(self.module, inputs, self._names, outputs, self._varying)
            try:
                return torch_onnx.export(self._adapter(), inputs, self._names, outputs, self._varying)
            except Exception as error:  # the exporter lets anything through
                plain = all(
                    name.startswith("output") for name in outputs
                )  # TorchScript's exporter knows no dict
                if not torch_onnx.decides_by_data(error) or not plain:
                    raise torch_onnx.explained(error) from error
                return self._exported_as_script(inputs, outputs, error)

    def _exported_as_script(self, inputs: list[Any], outputs: list[str], error: Exception) -> Any:
        try:
            script = torch_onnx.scripted(self.module)
            return torch_onnx.export_script(script, inputs, self._names, outputs, self._varying)
        except Exception:  # noqa: BLE001 (as above; the first error says it better)
            raise torch_onnx.explained(error) from error

    def _typical(self, rows: Tensors) -> Tensors:
        """Two rows: one alone would be taken for a dimension that may be broadcast."""
        return repeated(rows, 2)

    def _call(self, inputs: Any) -> Any:
        if self._keywords:
            return self.module(**dict(zip(self._names, inputs, strict=True)))
        return self.module(*inputs)

    def _named_answers(self, inputs: Any) -> dict[str, Any]:
        answers = flat(self._call(inputs))
        return dict(zip(names_apart(list(answers), self._names), answers.values(), strict=True))

    def _adapter(self) -> Any:
        """Positions in, a flat tuple out: what exporters handle whatever `forward` takes and gives."""
        import torch  # noqa: PLC0415 (heavy)

        answers = self._named_answers

        class Adapter(torch.nn.Module):  # type: ignore[misc]  # untyped here
            def __init__(self, module: Any) -> None:
                super().__init__()
                self.module = module

            def forward(self, *inputs: Any) -> Any:
                return tuple(answers(inputs).values())

        adapter = Adapter(self.module)
        adapter.training = False
        return adapter


def _version() -> str:
    import torch  # noqa: PLC0415 (heavy)

    return str(torch.__version__).partition("+")[0]
