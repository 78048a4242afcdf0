"""The owner's code, loaded in its own process: a function, or a class with `predict`."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from packaging.requirements import InvalidRequirement, Requirement

from forebay.core import CODE_FOLDER, Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Broken, Malformed

Model: TypeAlias = Callable[[Tensors], Tensors]
REQUIREMENTS = "requirements.txt"


def load_code(folder: Path, info: ArtifactInfo) -> tuple[Model, Signature]:
    """What the entry of *info* names, ready to be called; raises `Malformed` with what is wrong with it.

    Changes this process: its working directory and its path become the owner's folder.
    """
    signature = _checked(info.signature)
    root = folder / CODE_FOLDER
    check_requirements(root / REQUIREMENTS)
    os.chdir(root)
    sys.path.insert(0, str(root))
    predict = _named(info.entry)

    def model(inputs: Tensors) -> Tensors:
        return outputs_of(_called(predict, inputs), signature.outputs)

    return model, signature


def check_requirements(file: Path) -> None:
    """Raise `Malformed` when what *file* asks for is not what is installed here."""
    if not file.exists():
        return
    lacking = []
    for line in file.read_text("utf-8").splitlines():
        text = line.partition(" #")[0].strip()
        if text and not text.startswith("#"):
            lacking += _lacking(text)
    if lacking:
        raise Malformed(
            f"{file.name} asks for what is not installed here: {', '.join(lacking)}; "
            "install it into the environment of the node"
        )


def outputs_of(answer: object, specs: Sequence[TensorSpec]) -> Tensors:
    """What a function returned, by output, as its signature has it; raises `Broken` for what does not fit."""
    if isinstance(answer, Mapping):
        found = dict(answer)
    elif isinstance(answer, tuple) and len(specs) > 1:
        found = dict(zip((spec.name for spec in specs), answer, strict=False))
    else:
        found = {specs[0].name: answer}
    missing = [spec.name for spec in specs if spec.name not in found]
    if missing:
        raise Broken(f"the model's code did not return {missing}, which its signature declares")
    return {spec.name: _fitting(found[spec.name], spec) for spec in specs}


def _checked(signature: Signature) -> Signature:
    if not signature.inputs or not signature.outputs:
        raise Malformed("a version with code needs a signature with inputs and outputs: a function has none")
    for spec in (*signature.inputs, *signature.outputs):
        if spec.datatype is DataType.BF16:
            raise Malformed(f"{spec.name!r} is BF16, which NumPy does not have; declare FP32 for code")
    return signature


def _lacking(text: str) -> list[str]:
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        raise Malformed(
            f"{REQUIREMENTS} has the line {text!r}; write names with versions alone, like numpy>=2.1"
        ) from None
    if wanted.marker is not None and not wanted.marker.evaluate():
        return []
    try:
        here = version(wanted.name)
    except PackageNotFoundError:
        return [f"{wanted.name}{wanted.specifier} (there is none)"]
    if wanted.specifier.contains(here, prereleases=True):
        return []
    return [f"{wanted.name}{wanted.specifier} (there is {here})"]


def _named(entry: str) -> Callable[..., object]:
    module, _, name = entry.partition(":")
    try:
        target: Any = getattr(import_module(module), name)
        if inspect.isclass(target):
            made: Any = target()
            target = made.predict
    except Exception as error:  # whatever the owner's code raises while it loads
        traceback.print_exc()
        raise Malformed(f"{entry} cannot be loaded: {_in_words(error)}") from error
    if not callable(target):
        raise Malformed(f"{entry} is {type(target).__name__}, no function and no class with `predict`")
    predict: Callable[..., object] = target
    return predict


def _called(predict: Callable[..., object], inputs: Tensors) -> object:
    try:
        return predict(**{name: _as_text(array) for name, array in inputs.items()})
    except ValueError as error:
        traceback.print_exc()
        raise Malformed(f"the model refused its input: {error}") from error
    except Exception as error:  # whatever the owner's code raises
        traceback.print_exc()
        raise Broken("the model's code failed; the node's log has the details") from error


def _as_text(array: Array) -> Array:
    if array.dtype != object:
        return array
    text = np.empty(array.size, dtype=object)
    text[:] = [item.decode("utf-8", "surrogateescape") for item in array.flat]
    return text.reshape(array.shape)


def _fitting(value: Any, spec: TensorSpec) -> Array:
    array = np.asarray(value)
    if spec.datatype is DataType.BYTES:
        array = array if array.dtype == object else array.astype(object)
    elif not np.can_cast(array.dtype, spec.datatype.dtype, "same_kind"):
        raise Broken(f"the model's code returned {array.dtype} for {spec.name!r}, declared {spec.datatype}")
    fits = len(array.shape) == len(spec.shape) and all(
        want in (-1, got) for want, got in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise Broken(
            f"the model's code returned {spec.name!r} with the shape {list(array.shape)}, "
            f"declared {list(spec.shape)}"
        )
    return array if spec.datatype is DataType.BYTES else array.astype(spec.datatype.dtype, copy=False)


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
