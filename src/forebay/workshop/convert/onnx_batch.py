"""Fixed sizes of an ONNX graph made free: the batch, and the height and width of images.

Exporters write the sizes of their example into the file: a batch of one, an image of 32 by 32. Where the
graph itself does not depend on them, they are let go; whether it does is seen by asking both.
"""

from __future__ import annotations

from typing import Any

from forebay.workshop.convert.onnx_checks import graphs_of, nodes_of

BATCH = "batch"
_IMAGE = (BATCH, None, "height", "width")
_LOCAL = frozenset(
    {
        "Abs",
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Constant",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "Div",
        "Dropout",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LeakyRelu",
        "Max",
        "MaxPool",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "PRelu",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softplus",
        "SpaceToDepth",
        "Sqrt",
        "Sub",
        "Tanh",
    }
)
"""What works on every place of an image alike, and so on an image of any size."""


def inputs_of(graph: Any) -> list[Any]:
    """The inputs that a caller gives; old files list their weights among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def tidy(proto: Any) -> None:
    """Leave only real inputs, and let a size of 0 or less be what it means: not known."""
    inputs = inputs_of(proto.graph)
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    for value in (*proto.graph.input, *proto.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value <= 0:
                dim.ClearField("dim_value")


def fixed_batch(proto: Any) -> int:
    """The batch that all inputs are fixed to; 0 if there is no such."""
    firsts = {_first(value) for value in proto.graph.input}
    return firsts.pop() if len(firsts) == 1 else 0


def is_local(proto: Any) -> bool:
    """Whether the model treats all places of its images alike: convolutions, and nothing that counts."""
    images = all(len(value.type.tensor_type.shape.dim) == 4 for value in proto.graph.input)
    return images and all(node.op_type in _LOCAL for node in nodes_of(proto))


def loosened(proto: Any, *, image: bool) -> Any | None:
    """A copy with a free batch (and a free height and width for an *image*); None if it cannot be.

    Sizes inside the graph that were worked out from the fixed ones are let go with them.
    """
    import onnx  # noqa: PLC0415 (heavy)

    size = fixed_batch(proto)
    free: Any = onnx.ModelProto()
    free.CopyFrom(proto)
    for value in free.graph.input:
        _let_go(value, _IMAGE if image else (BATCH,))
    for value in free.graph.output:
        value.type.tensor_type.ClearField("shape")
    for graph in graphs_of(free):
        del graph.value_info[:]
    _free_reshapes(free.graph, size)
    try:
        free = onnx.shape_inference.infer_shapes(free, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(free)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError):
        return None
    return free if all(map(_starts_free, free.graph.output)) else None


def _let_go(value: Any, names: tuple[str | None, ...]) -> None:
    for dim, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
        if name:
            dim.dim_param = name


def _first(value: Any) -> int:
    dims = value.type.tensor_type.shape.dim
    return int(dims[0].dim_value) if dims else 0


def _starts_free(value: Any) -> bool:
    """Whether the first size is the batch, or is at least not another one."""
    dims = value.type.tensor_type.shape.dim
    return bool(dims) and not dims[0].HasField("dim_value")


def _free_reshapes(graph: Any, size: int) -> None:
    """`Reshape`s to a constant shape that begins with the batch: let them take it from their input."""
    from onnx import helper, numpy_helper  # noqa: PLC0415 (heavy)

    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    for number, node in enumerate(graph.node):
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        shape = numpy_helper.to_array(constants[node.input[1]]).tolist()
        if not shape or shape[0] != size or any(entry.i for entry in node.attribute):
            continue
        name = f"{node.input[1]}__free_{number}"
        loose = [0 if -1 in shape[1:] else -1, *shape[1:]]
        graph.initializer.append(helper.make_tensor(name, 7, [len(loose)], loose))
        node.input[1] = name
