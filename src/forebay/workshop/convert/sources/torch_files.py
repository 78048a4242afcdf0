"""What PyTorch leaves on a disk, and which of it is code."""

from __future__ import annotations

import copy
import inspect
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.core.extras import need
from forebay.serving.runtime.apart.torch_export import load_clean
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.running import first_line

_PROGRAM, _WEIGHTS, _PICKLED = ".pt2", ".safetensors", (".pt", ".pth", ".ckpt")
_STATES = ("state_dict", "model_state_dict", "model")


def reads(path: Path) -> bool:
    """Whether *path* is a file as PyTorch calls them."""
    return path.is_file() and path.suffix.lower() in (_PROGRAM, _WEIGHTS, *_PICKLED)


def runs_code(path: Path) -> str | None:
    """Why loading *path* would run code, and the line to type instead."""
    if path.suffix.lower() in (_WEIGHTS, _PROGRAM):
        return None  # what is more than data in a program is refused by `load`
    need("torch", "torch")
    where = f"name={path.stem!r}, sample=X), or run: {_trusting(path)} --sample ROWS.npy"
    if _is_script(path):
        return (
            f"{path} is TorchScript, which is code; where you trust it, publish the module: "
            f"hub.publish(torch.jit.load({str(path)!r}), {where}"
        )
    if _weights(path) is None:
        return (
            f"{path} is a pickle of more than weights: loading it would run whatever is inside; where you "
            f"trust it, publish the module: hub.publish(torch.load({str(path)!r}, weights_only=False), "
            f"{where}"
        )
    return None


def load(path: Path) -> Any:
    """A module, an exported program, or weights by name; code only where `runs_code` said so."""
    try:
        return _load(path)
    except ForebayError:
        raise
    except Exception as error:  # a damaged file fails in many ways
        raise Malformed(f"{path.name!r} cannot be loaded: {first_line(error)}") from error


def _load(path: Path) -> Any:

    from forebay.workshop.convert.trusted import torch_code  # noqa: PLC0415 (never early)

    if path.suffix.lower() == _WEIGHTS:
        return need("safetensors.torch", "torch").load_file(path)
    if path.suffix.lower() == _PROGRAM:
        return _program(path)
    if _is_script(path):
        return torch_code.load_script(path)
    weights = _weights(path)
    return weights if weights is not None else torch_code.load_pickled_module(path)


def is_state(model: object) -> bool:
    """Whether *model* is a state dict: tensors by name."""
    return (
        isinstance(model, Mapping)
        and bool(model)
        and all(is_from(value, "torch") for value in model.values())
    )


def filled(into: Any, state: Mapping[str, Any]) -> Any:
    """A copy of the module *into* (or of one that the class makes) with these weights."""
    if into is None:
        raise Unsupported(
            "weights alone do not say which network they belong to; pass it: "
            "forebay.convert(path, sample, into=Net()), or type --class my_module:Net"
        )
    module: Any = into() if inspect.isclass(into) else copy.deepcopy(into)
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError) as error:
        reasons = [line.strip() for line in str(error).splitlines()[1:3]]
        told = " ".join(reasons)[:300] or first_line(error)
        raise Malformed(f"the weights do not belong to this {type(module).__name__}: {told}") from error
    return module


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") or "/code/" in name for name in archive.namelist())


def _weights(path: Path) -> Mapping[str, Any] | None:
    """The state dict in *path*, read without running anything; None if there is more in it."""
    import torch  # noqa: PLC0415 (heavy)

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 (a pickle that is refused, and a damaged one, fail in many ways)
        return None
    if isinstance(found, Mapping) and not is_state(found):
        found = next((found[name] for name in _STATES if is_state(found.get(name))), found)
    return found if is_state(found) else None


def _program(path: Path) -> Any:
    """The program, read the way a node reads one: `torch.export.load` by itself would run what is inside."""
    try:
        with TemporaryDirectory(prefix="forebay-") as folder:
            return load_clean(path, Path(folder))
    except Malformed as error:
        raise Malformed(
            f"{error}; where you trust {path.name!r}, publish the program: "
            f"hub.publish(torch.export.load({str(path)!r}), name={path.stem!r})"
        ) from error


def _trusting(path: Path) -> str:
    return f"forebay publish {path} --name {path.stem} --trust"
