"""Keras 3, on whichever backend it runs: models in memory, `.keras`, and the older `.h5`."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.apart import must_be_apart
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.networks import Expected, Network, draft_of, generated, named
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.running import first_line
from forebay.workshop.convert.sources.keras_onnx import export
from forebay.workshop.convert.sources.keras_two import readable
from forebay.workshop.convert.sources.tensorflow_quiet import import_keras

_AUTOMATIC = re.compile(r"(keras_tensor|input_layer|input|args|inputs)(_\d+)*")
_HDF5 = (".h5", ".hdf5")


class Keras:
    """The source for Keras models."""

    name = "Keras"

    def knows(self, model: object) -> bool:
        return is_from(model, "keras")

    def reads(self, path: Path) -> bool:
        return path.is_file() and path.suffix.lower() in (".keras", *_HDF5)

    def runs_code(self, path: Path) -> str | None:
        if not _has_lambda(_config_in(path)):
            return None
        return (
            f"{path} has a Lambda layer, whose Python code is in the file; where you trust it, publish the "
            f"model: hub.publish(keras.saving.load_model({str(path)!r}, safe_mode=False), "
            f"name={path.stem!r}), or run: forebay publish {path} --name {path.stem} --trust"
        )

    def load(self, path: Path) -> Any:
        safe = self.runs_code(path) is None
        if not safe:
            must_be_apart(path)
        keras = import_keras()
        config = _config_in(path) if path.suffix.lower() in _HDF5 else {}
        try:
            with readable(path, config) as file:
                return keras.saving.load_model(file, compile=False, safe_mode=safe)
        except ForebayError:
            raise
        except Exception as error:  # a damaged file and a class that is not known here fail in many ways
            raise _no_load(path, error) from error

    def draft(self, model: Any, given: Given) -> Draft:
        import_keras()
        asked = _Asked(model, given)
        return draft_of(asked.network(), asked.rows, given)


class _Asked:
    """A Keras model, asked for named arrays."""

    def __init__(self, model: Any, given: Given) -> None:
        self._model = model
        names, declared = _declared(model)
        self.rows = _rows(declared, names, given.sample)
        self._struct = _struct_of(model, given.sample)
        self._varying = {
            spec.name: tuple(axis for axis, size in enumerate(spec.shape, 1) if size is None)
            for spec in declared
            if None in spec.shape
        }

    def network(self) -> Network:
        """What `draft_of` takes."""
        import keras  # noqa: PLC0415 (heavy)

        origin = f"Keras {keras.__version__} {type(self._model).__name__} ({keras.backend.backend()})"
        return Network(origin, self.ask, self._export, varying=self._varying)

    def ask(self, rows: Tensors) -> Tensors:
        """The answers of `call`, nothing dropped out."""
        import keras  # noqa: PLC0415 (heavy)

        answers = self._call(list(rows.values()))
        arrays = [keras.ops.convert_to_numpy(_released(part)) for part in keras.tree.flatten(answers)]
        return dict(zip(_answer_names(self._model, answers, list(self.rows)), arrays, strict=True))

    def _export(self, rows: Tensors) -> Any:
        inputs = [
            Expected(
                name,
                str(values.dtype),
                tuple(
                    None if axis in self._varying.get(name, ()) else size
                    for axis, size in enumerate(values.shape[1:], 1)
                ),
            )
            for name, values in rows.items()
        ]
        return export(self._model, self._call, inputs)

    def _call(self, values: list[Any]) -> Any:
        return self._model(self._arranged(values), training=False)

    def _arranged(self, values: list[Any]) -> Any:
        if isinstance(self._struct, Mapping):
            return dict(zip(self._struct, values, strict=True))
        return values if isinstance(self._struct, list | tuple) else values[0]


def _declared(model: Any) -> tuple[dict[str, str], list[Expected]]:
    """The inputs as the model declares them, and its own names for ours.

    Nothing of a subclass that was only ever called.
    """
    import keras  # noqa: PLC0415 (heavy)

    inputs = getattr(model, "inputs", None) or []
    names = _human([tensor.name for tensor in inputs])
    declared = [
        Expected(name, keras.backend.standardize_dtype(tensor.dtype), tuple(tensor.shape[1:]))
        for name, tensor in zip(names, inputs, strict=True)
    ]
    return {tensor.name: name for name, tensor in zip(names, inputs, strict=True)}, declared


def _rows(declared: Sequence[Expected], names: Mapping[str, str], sample: Any) -> Tensors:
    """The sample, or rows made up, in the datatypes that the model declares: Keras itself casts them so."""
    if sample is None:
        if not declared:
            raise Malformed("the model does not say which shapes it takes; pass sample=X_test[:100]")
        return generated(declared)
    if isinstance(sample, Mapping):
        sample = {names.get(name, name): values for name, values in sample.items()}
    wanted = [spec.name for spec in declared]
    rows = named(sample, wanted or _names_in(sample), "the model")
    missing = [name for name in wanted if name not in rows]
    if missing:
        raise Malformed(f"the model takes {wanted}, and the sample lacks {missing}")
    dtypes = {spec.name: spec.dtype for spec in declared}
    return {name: values.astype(dtypes.get(name) or _usual(values)) for name, values in rows.items()}


def _usual(values: Array) -> Any:
    return "float32" if values.dtype == np.float64 else values.dtype


def _human(names: Sequence[str]) -> list[str]:
    """`x` for what Keras had to name itself."""
    if len(names) == 1:
        return ["x" if _AUTOMATIC.fullmatch(names[0]) else names[0]]
    return [f"x_{number}" if _AUTOMATIC.fullmatch(name) else name for number, name in enumerate(names)]


def _names_in(sample: Any) -> list[str]:
    """For a model that declares nothing: what the sample has."""
    if isinstance(sample, Mapping):
        return list(map(str, sample))
    several = isinstance(sample, tuple) or (
        isinstance(sample, list) and all(hasattr(part, "shape") for part in sample)
    )
    return [f"x_{number}" for number in range(len(sample))] if several and len(sample) > 1 else ["x"]


def _struct_of(model: Any, sample: Any) -> Any:
    """How the model takes its inputs: a mapping (with the names that it wants), a list, or one by itself."""
    if getattr(model, "inputs", None):
        struct = getattr(model, "_inputs_struct", model.inputs)  # a file of Keras 2 has a list of one
        if isinstance(struct, Mapping):
            return dict.fromkeys(sorted(struct))
        listed = len(model.inputs) > 1 or hasattr(model, "_inputs_struct")
        return struct if listed and isinstance(struct, list | tuple) else None
    return sample if isinstance(sample, Mapping | tuple | list) and len(_names_in(sample)) > 1 else None


def _answer_names(model: Any, answers: Any, inputs: Sequence[str]) -> list[str]:
    import keras  # noqa: PLC0415 (heavy)

    count = len(keras.tree.flatten(answers))
    layers = [str(name) for name in getattr(model, "output_names", None) or []]
    if isinstance(answers, Mapping):
        names = ["_".join(map(str, path)) for path, _ in keras.tree.flatten_with_path(answers)]
    elif count == 1:
        names = ["output"]
    elif len(layers) == count and len(set(layers)) == count:
        names = layers
    else:
        names = [f"output_{number}" for number in range(count)]
    return [f"{name}_output" if name in inputs else name for name in names]


def _released(tensor: Any) -> Any:
    return tensor.detach() if hasattr(tensor, "detach") else tensor


def _config_in(path: Path) -> Any:
    """The description of the model's layers, read without making any; raises `Malformed`."""
    try:
        if path.suffix.lower() in _HDF5:
            with need("h5py", "keras").File(path) as file:
                return json.loads(file.attrs["model_config"])
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except KeyError:
        raise Malformed(
            f"{path.name!r} holds weights without their model; save the model: model.save('model.keras')"
        ) from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise Malformed(f"{path.name!r} is no Keras model, or is damaged: {first_line(error)}") from error


def _has_lambda(config: Any) -> bool:
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            return True
        return any(map(_has_lambda, config.values()))
    return isinstance(config, list) and any(map(_has_lambda, config))


def _no_load(path: Path, error: Exception) -> Malformed | Unsupported:
    text = str(error)
    unknown = re.search(r"Could not locate class '([^']+)'|Unknown (?:layer|object)[^']*'([^']+)'", text)
    if unknown:
        return Unsupported(
            f"{path.name!r} needs the class {unknown[1] or unknown[2]!r}, which is not in the file; load it "
            f"where the class is known, and publish the model: hub.publish(keras.saving.load_model("
            f"{str(path)!r}), name={path.stem!r})"
        )
    return Malformed(f"{path.name!r} cannot be loaded: {first_line(error)}")
