"""TensorFlow's SavedModel: a folder with a graph, made by Keras 3, Keras 2, or TensorFlow itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from forebay.core import Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.networks import Expected, Network, draft_of, generated, named
from forebay.workshop.convert.networks.tidy import mend, unknown_operators
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.running import first_line
from forebay.workshop.convert.sources.tensorflow_onnx import trace
from forebay.workshop.convert.sources.tensorflow_quiet import importing, quiet

_SERVING = ("serving_default", "serve")
_AUTOMATIC = re.compile(r"(keras_tensor|input_layer|input|inputs|args|x)(_\d+)*")


class SavedModel:
    """The source for SavedModel folders, and what `tf.saved_model.load` makes of them."""

    name = "TensorFlow SavedModel"

    def knows(self, model: object) -> bool:
        return is_from(model, "tensorflow") and hasattr(model, "signatures")

    def reads(self, path: Path) -> bool:
        return (path / "saved_model.pb").is_file()

    def runs_code(self, path: Path) -> str | None:  # noqa: ARG002 (the contract's)
        return None  # a graph of TensorFlow's own operators; its Python functions are not in it

    def load(self, path: Path) -> Any:
        with importing():
            tensorflow = need("tensorflow", "keras")
        try:
            with quiet():
                return tensorflow.saved_model.load(str(path))
        except Exception as error:  # a damaged folder fails in many ways
            raise Malformed(f"{path} cannot be loaded: {first_line(error)}") from error

    def draft(self, model: Any, given: Given) -> Draft:
        asked = _Asked(model)
        rows = generated(asked.inputs) if given.sample is None else asked.rows_of(given.sample)
        return draft_of(asked.network(), rows, given)


class _Asked:
    """The serving function of a SavedModel, asked for named arrays."""

    def __init__(self, model: Any) -> None:
        self._model = model  # its variables live as long as it does
        self._function = _serving(model)
        self._specs: dict[str, Any] = dict(sorted(self._function.structured_input_signature[1].items()))
        self._names = _human(list(self._specs))
        self.inputs = [
            Expected(name, _numpy_name(spec), tuple(spec.shape[1:]))
            for name, spec in zip(self._names, self._specs.values(), strict=True)
        ]

    def rows_of(self, sample: Any) -> Tensors:
        """*sample* in the datatypes of the function."""
        if isinstance(sample, Mapping):
            known = dict(zip(self._specs, self._names, strict=True))
            sample = {known.get(name, name): values for name, values in sample.items()}
        rows = named(sample, self._names, "the model")
        missing = [name for name in self._names if name not in rows]
        if missing:
            raise Malformed(f"the model takes {self._names}, and the sample lacks {missing}")
        return {spec.name: rows[spec.name].astype(spec.dtype) for spec in self.inputs}

    def network(self) -> Network:
        """What `draft_of` takes."""
        import tensorflow as tf  # noqa: PLC0415 (heavy)

        varying = {
            spec.name: tuple(axis for axis, size in enumerate(spec.shape, 1) if size is None)
            for spec in self.inputs
            if None in spec.shape
        }
        return Network(f"TensorFlow {tf.__version__} SavedModel", self.ask, self._export, varying=varying)

    def ask(self, rows: Tensors) -> Tensors:
        """The function's answers."""
        import tensorflow as tf  # noqa: PLC0415 (heavy)

        answers = self._function(
            **{own: tf.constant(rows[name]) for own, name in zip(self._specs, self._names, strict=True)}
        )
        return {name: np.asarray(answers[key]) for name, key in self._outputs().items()}

    def _outputs(self) -> dict[str, str]:
        keys = sorted(self._function.structured_outputs)
        names = ["output"] if len(keys) == 1 and keys[0].startswith("output") else keys
        return {
            f"{name}_output" if name in self._names else name: key
            for name, key in zip(names, keys, strict=True)
        }

    def _export(self, rows: Tensors) -> Any:  # noqa: ARG002 (the signature has the shapes)
        keys = list(self._outputs().values())

        def call(*inputs: Any) -> list[Any]:
            answers = self._function(**dict(zip(self._specs, inputs, strict=True)))
            return [answers[key] for key in keys]

        try:
            proto = trace(call, self.inputs)
        except Exception as error:  # tf2onnx lets anything through
            raise Unsupported(f"the SavedModel cannot become ONNX: {first_line(error)}") from error
        mend(proto)
        if strange := unknown_operators(proto):
            raise Unsupported(
                f"the SavedModel uses {', '.join(strange)}, which ONNX does not have; if Keras made it, "
                "publish the .keras file, which may be exported from PyTorch"
            )
        return proto


def _serving(model: Any) -> Any:
    signatures = dict(model.signatures)
    for name in (*_SERVING, *signatures):
        if name in signatures:
            return signatures[name]
    raise Unsupported(
        "the SavedModel has no signature to call; save it with signatures=… or by model.export(path)"
    )


def _human(names: list[str]) -> list[str]:
    if len(names) == 1:
        return ["x" if _AUTOMATIC.fullmatch(names[0]) else names[0]]
    return names


def _numpy_name(spec: Any) -> str:
    if spec.dtype.name == "string":
        raise Unsupported(
            f"the SavedModel takes text in {spec.name!r}; encode it before, outside of the graph"
        )
    return str(spec.dtype.name)
