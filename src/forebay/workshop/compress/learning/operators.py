# ruff: noqa: ARG001, ARG005 (every operator takes the same, whether it needs it or not)
"""What ONNX's operators are in torch: those that networks are made of.

Each takes torch, a node's attributes and its inputs (None where left out).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Operator = Callable[..., Any]


def _gemm(torch: Any, a: dict[str, Any], x: Any, w: Any, b: Any = None) -> Any:
    x = x.transpose(0, 1) if a.get("transA") else x
    w = w.transpose(0, 1) if a.get("transB") else w
    y = a.get("alpha", 1.0) * (x @ w)
    return y if b is None else y + a.get("beta", 1.0) * b


def _pads(torch: Any, a: dict[str, Any], x: Any, value: float) -> Any:
    """*x* with its edges, as ONNX's `pads` (all beginnings, then all ends) or `auto_pad` say."""
    kernel = a["kernel_shape"]
    size = len(kernel)
    strides, dilations = a.get("strides", [1] * size), a.get("dilations", [1] * size)
    pads = a.get("pads", [0] * (2 * size))
    mode = a.get("auto_pad", b"NOTSET")
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        pads = [0] * (2 * size)
        for axis in range(size):
            length = x.shape[2 + axis]
            reach = (
                (-(-length // strides[axis]) - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
            )
            total = max(0, reach - length)
            small, large = total // 2, total - total // 2
            pads[axis], pads[axis + size] = (small, large) if mode == b"SAME_UPPER" else (large, small)
    if not any(pads):
        return x
    order = [edge for axis in reversed(range(size)) for edge in (pads[axis], pads[axis + size])]
    return torch.nn.functional.pad(x, order, value=value)


def _conv(torch: Any, a: dict[str, Any], x: Any, w: Any, b: Any = None) -> Any:
    size = w.dim() - 2
    a = {"kernel_shape": list(w.shape[2:]), **a}
    x = _pads(torch, a, x, 0.0)
    kind = getattr(torch.nn.functional, f"conv{size}d")
    return kind(x, w, b, a.get("strides", 1), 0, a.get("dilations", 1), a.get("group", 1))


def _max_pool(torch: Any, a: dict[str, Any], x: Any) -> Any:
    if a.get("ceil_mode") or any(step != 1 for step in a.get("dilations", [1])):
        raise NotImplementedError("MaxPool with ceil_mode or dilations")
    x = _pads(torch, a, x, float("-inf"))
    size = len(a["kernel_shape"])
    strides = a.get("strides", [1] * size)
    return getattr(torch.nn.functional, f"max_pool{size}d")(x, a["kernel_shape"], strides)


def _average_pool(torch: Any, a: dict[str, Any], x: Any) -> Any:
    if a.get("ceil_mode") or any(a.get("pads", [0])) or a.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise NotImplementedError("AveragePool with edges")
    size = len(a["kernel_shape"])
    strides = a.get("strides", [1] * size)
    return getattr(torch.nn.functional, f"avg_pool{size}d")(x, a["kernel_shape"], strides)


def _batch_norm(torch: Any, a: dict[str, Any], x: Any, scale: Any, bias: Any, mean: Any, var: Any) -> Any:
    """With the statistics as they are: few rows of tuning would only spoil them."""
    shape = (1, -1, *(1,) * (x.dim() - 2))
    factor = scale / torch.sqrt(var.detach() + a.get("epsilon", 1e-5))
    return x * factor.reshape(shape) + (bias - mean.detach() * factor).reshape(shape)


def _layer_norm(torch: Any, a: dict[str, Any], x: Any, scale: Any, bias: Any = None) -> Any:
    axis = a.get("axis", -1) % x.dim()
    return torch.nn.functional.layer_norm(x, tuple(x.shape[axis:]), scale, bias, a.get("epsilon", 1e-5))


def _axes(a: dict[str, Any], axes: Any) -> list[int] | None:
    if axes is not None:
        return [int(axis) for axis in axes]
    return list(a["axes"]) if "axes" in a else None


def _reduce_mean(torch: Any, a: dict[str, Any], x: Any, axes: Any = None) -> Any:
    wanted = _axes(a, axes)
    places = list(range(x.dim())) if wanted is None else wanted
    return x.mean(dim=places, keepdim=bool(a.get("keepdims", 1)))


def _reshape(torch: Any, a: dict[str, Any], x: Any, shape: Any) -> Any:
    sizes = [int(size) for size in shape]
    if not a.get("allowzero"):
        sizes = [x.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(torch: Any, a: dict[str, Any], x: Any) -> Any:
    axis = a.get("axis", 1)
    rows = 1
    for size in x.shape[:axis]:
        rows *= size
    return x.reshape(rows, -1)


def _squeeze(torch: Any, a: dict[str, Any], x: Any, axes: Any = None) -> Any:
    wanted = _axes(a, axes)
    return x.squeeze() if wanted is None else x.squeeze(tuple(wanted))


def _unsqueeze(torch: Any, a: dict[str, Any], x: Any, axes: Any = None) -> Any:
    for axis in sorted(_axes(a, axes) or []):
        x = x.unsqueeze(axis)
    return x


def _gather(torch: Any, a: dict[str, Any], x: Any, places: Any) -> Any:
    axis = a.get("axis", 0) % x.dim()
    flat = places.reshape(-1).long() % x.shape[axis]
    found = x.index_select(axis, flat)
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _cast(torch: Any, a: dict[str, Any], x: Any) -> Any:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
    if a["to"] not in kinds:
        raise NotImplementedError(f"Cast to type {a['to']}")
    return x.to(kinds[a["to"]])


def _gelu(torch: Any, a: dict[str, Any], x: Any) -> Any:
    return torch.nn.functional.gelu(x, approximate=a.get("approximate", b"none").decode())


def _slice(
    torch: Any, a: dict[str, Any], x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None
) -> Any:
    wanted = range(len(starts)) if axes is None else [int(axis) for axis in axes]
    strides = [1] * len(starts) if steps is None else [int(step) for step in steps]
    if any(step < 1 for step in strides):
        raise NotImplementedError("Slice backwards")
    for axis, start, end, step in zip(wanted, starts, ends, strides, strict=True):
        places = range(x.shape[axis])[int(start) : int(end) : step]
        x = x.index_select(axis, torch.tensor(list(places), dtype=torch.long))
    return x


def _range(torch: Any, a: dict[str, Any], start: Any, limit: Any, delta: Any) -> Any:
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def _gather_nd(torch: Any, a: dict[str, Any], x: Any, places: Any) -> Any:
    if a.get("batch_dims", 0):
        raise NotImplementedError("GatherND with batch_dims")
    return x[tuple(places.long().unbind(-1))]


def _largest(torch: Any, a: dict[str, Any], parts: Sequence[Any]) -> Any:
    found = parts[0]
    for part in parts[1:]:
        found = torch.maximum(found, part)
    return found


def _unary(name: str) -> Operator:
    return lambda torch, _attributes, x: getattr(torch, name)(x)


def _binary(name: str) -> Operator:
    return lambda torch, _attributes, x, y: getattr(torch, name)(x, y)


def _of_many(call: Callable[[Any, dict[str, Any], Sequence[Any]], Any]) -> Operator:
    return lambda torch, attributes, *parts: call(torch, attributes, parts)


OPERATORS: dict[str, Operator] = {
    "Gemm": _gemm,
    "MatMul": _binary("matmul"),
    "Conv": _conv,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda torch, a, x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda torch, a, x: x.permute(a.get("perm", list(reversed(range(x.dim()))))),
    "Concat": _of_many(lambda torch, a, parts: torch.cat(parts, a["axis"])),
    "Gather": _gather,
    "Slice": _slice,
    "Shape": lambda torch, a, x: torch.tensor(
        list(x.shape)[a.get("start", 0) : a.get("end")], dtype=torch.long
    ),
    "Expand": lambda torch, a, x, shape: x.expand([int(size) for size in shape]),
    "Cast": _cast,
    "Range": _range,
    "GatherND": _gather_nd,
    "Max": _of_many(_largest),
    "IsNaN": _unary("isnan"),
    "Not": _unary("logical_not"),
    "And": _binary("logical_and"),
    "Equal": _binary("eq"),
    "Less": _binary("lt"),
    "LessOrEqual": _binary("le"),
    "Where": lambda torch, a, condition, x, y: torch.where(condition, x, y),
    "ReduceSum": lambda torch, a, x, axes=None: x.sum(
        dim=_axes(a, axes) or list(range(x.dim())), keepdim=bool(a.get("keepdims", 1))
    ),
    "ReduceL2": lambda torch, a, x, axes=None: torch.linalg.vector_norm(
        x, dim=_axes(a, axes) or list(range(x.dim())), keepdim=bool(a.get("keepdims", 1))
    ),
    "Identity": lambda torch, a, x: x,
    "Dropout": lambda torch, a, x, *rest: x,
    "Gelu": _gelu,
    "Softmax": lambda torch, a, x: torch.softmax(x, a.get("axis", -1)),
    "LeakyRelu": lambda torch, a, x: torch.nn.functional.leaky_relu(x, a.get("alpha", 0.01)),
    "Clip": lambda torch, a, x, low=None, high=None: torch.clamp(x, low, high),
    **{
        name: _unary(name.lower()) for name in ("Relu", "Sigmoid", "Tanh", "Erf", "Sqrt", "Exp", "Neg", "Abs")
    },
    "Reciprocal": _unary("reciprocal"),
    "Add": _binary("add"),
    "Sub": _binary("sub"),
    "Mul": _binary("mul"),
    "Div": _binary("div"),
    "Pow": _binary("pow"),
}
