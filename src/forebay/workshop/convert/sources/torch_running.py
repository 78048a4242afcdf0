"""A PyTorch module as a network of named tensors, asked without leaving a trace in it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from forebay.core import Tensors
from forebay.core.errors import Malformed, Unsupported


@contextmanager
def at_rest(module: Any) -> Iterator[None]:
    """*module* as it answers: nothing dropped out, no gradient; afterwards it is as it was, part by part.

    What draws at random all the same draws anew each time, so that it can be told, and disturbs no draw of
    the owner's.
    """
    import torch  # noqa: PLC0415 (heavy)

    training = {part: part.training for part in module.modules()}
    try:
        module.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.seed()
            yield
    finally:
        for part, was in training.items():
            part.training = was


def parameters_of_forward(module: Any) -> list[str]:
    """What `forward` calls its inputs; `x` where it takes whatever comes."""
    if hasattr(module, "schema") or hasattr(module, "_c"):  # TorchScript
        return [argument.name for argument in module.forward.schema.arguments[1:]]
    parameter = inspect.Parameter
    kinds = (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    parameters = inspect.signature(module.forward).parameters.values()
    return [each.name for each in parameters if each.kind in kinds] or ["x"]


def takes_keywords(module: Any, names: Sequence[str]) -> bool:
    """Whether *names* are parameters of `forward`, so that gaps between them do not matter."""
    parameters = inspect.signature(module.forward).parameters
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    return all(anything or (name in parameters and parameters[name].kind in plain) for name in names)


def in_its_own_precision(module: Any, rows: Tensors, sample: Any) -> Tensors:
    """NumPy's and Python's numbers in the precision of the weights; a torch tensor says what it means."""
    first = next((p for p in module.parameters() if p.is_floating_point()), None)
    if first is None or str(first.dtype).removeprefix("torch.") not in ("float16", "float32", "float64"):
        return rows
    dtype = np.dtype(str(first.dtype).removeprefix("torch."))
    return {
        name: values.astype(dtype) if values.dtype.kind == "f" and not _from_torch(sample, name) else values
        for name, values in rows.items()
    }


def _from_torch(sample: Any, name: str) -> bool:
    if isinstance(sample, Mapping) or hasattr(sample, "keys"):
        sample = sample.get(name)
    parts = sample if isinstance(sample, tuple | list) else [sample]
    return any(hasattr(part, "detach") for part in parts)


def check_precision(module: Any) -> None:
    """Refuse what NumPy and the wire cannot say."""
    if any(str(weight.dtype) == "torch.bfloat16" for weight in module.parameters()):
        raise Unsupported(
            "the network's weights are bfloat16, which cannot be proved here; publish model.float()"
        )


def tensors_for(module: Any, rows: Tensors) -> list[Any]:
    """*rows* where the weights of *module* are."""
    import torch  # noqa: PLC0415 (heavy)

    place = next((p.device for p in module.parameters()), torch.device("cpu"))
    return [torch.from_numpy(np.array(values)).to(place) for values in rows.values()]


def flat(answer: Any, name: str = "") -> dict[str, Any]:
    """The tensors in whatever `forward` returned, by their names; what is no tensor (a cache) is left out."""
    if hasattr(answer, "detach"):
        return {name or "output": answer}
    found: dict[str, Any] = {}
    for key, part in _parts(answer):
        found |= flat(part, "_".join(filter(None, (name, key))))
    return found


def _parts(answer: Any) -> list[tuple[str, Any]]:
    if isinstance(answer, Mapping):
        return [(str(key), part) for key, part in answer.items()]
    if hasattr(answer, "_fields"):
        return list(zip(answer._fields, answer, strict=True))
    if dataclasses.is_dataclass(answer):
        return [(each.name, getattr(answer, each.name)) for each in dataclasses.fields(answer)]
    if isinstance(answer, tuple | list):
        parts = [part for part in answer if part is not None]
        if len(parts) == 1:
            return [("", parts[0])]
        return [(f"output_{number}", part) for number, part in enumerate(parts)]
    return []


def names_apart(outputs: Sequence[str], inputs: Sequence[str]) -> list[str]:
    """An output that has the name of an input gets one of its own: a graph knows each name once."""
    return [f"{name}_output" if name in inputs else name for name in outputs]


def to_numpy(values: Mapping[str, Any]) -> Tensors:
    """Tensors as arrays; raises `Unsupported` for bfloat16 and the like."""
    try:
        return {name: tensor.detach().cpu().numpy() for name, tensor in values.items()}
    except TypeError as error:
        raise Unsupported(
            f"the network answers what cannot travel ({error}); end it with .float()"
        ) from error


def bare(module: Any) -> Any:
    """The module inside the wrappers of `torch.compile` and `DataParallel`."""
    while hasattr(module, "_orig_mod") or type(module).__name__ in (
        "DataParallel",
        "DistributedDataParallel",
    ):
        module = module._orig_mod if hasattr(module, "_orig_mod") else module.module  # noqa: SLF001 (its one name)
    return module


def rows_refused(names: Sequence[str]) -> Malformed:
    """Why a network without declared shapes needs a sample."""
    return Malformed(
        f"a PyTorch module does not say which shapes it takes for {list(names)}; pass sample=X_test[:100]"
    )
