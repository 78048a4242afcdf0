"""The candidates' steps, all of them, in one list: each a page around a library or an idea.

A recipe is at most one step of each stage, in the stages' order: `low-rank-1/4 + int8-static + openvino`.
"""

from __future__ import annotations

from forebay.workshop.compress.steps import backends, precision, tidying, weights
from forebay.workshop.compress.steps.blocks import fewer_blocks
from forebay.workshop.compress.steps.guarded import int8_guarded
from forebay.workshop.compress.steps.heads import fewer_heads
from forebay.workshop.compress.steps.low_rank import low_rank, low_rank_tuned
from forebay.workshop.compress.steps.mixed import int8_mixed
from forebay.workshop.compress.steps.neurons import fewer_neurons
from forebay.workshop.compress.steps.step import Price, Stage, Step
from forebay.workshop.compress.steps.students import convolution_student, dense_student
from forebay.workshop.compress.steps.tree_students import tree_student
from forebay.workshop.compress.steps.tree_tensors import tree_tensors
from forebay.workshop.compress.steps.trees import fewer_trees

STEPS: tuple[Step, ...] = (
    Step("openvino", Stage.BACKEND, Price.INSTANT, backends.openvino, needs="openvino"),
    Step("openvino-bf16", Stage.BACKEND, Price.INSTANT, backends.openvino_bf16, needs="openvino"),
    Step("onnxruntime", Stage.BACKEND, Price.INSTANT, backends.onnxruntime),
    Step("slim", Stage.GRAPH, Price.INSTANT, tidying.slim, needs="onnxslim"),
    Step("optimised", Stage.GRAPH, Price.INSTANT, tidying.optimised),
    Step("tree-tensors", Stage.GRAPH, Price.INSTANT, tree_tensors),
    Step("fp16", Stage.PRECISION, Price.INSTANT, precision.half),
    Step("int8-dynamic", Stage.PRECISION, Price.INSTANT, precision.int8_dynamic),
    Step("int4-weights", Stage.PRECISION, Price.INSTANT, precision.int4_weights, needs="onnx_ir"),
    Step("shared-256", Stage.PRECISION, Price.INSTANT, weights.shared),
    Step("int8-static", Stage.PRECISION, Price.CALIBRATES, precision.int8_static("minmax")),
    Step("int8-entropy", Stage.PRECISION, Price.CALIBRATES, precision.int8_static("entropy")),
    Step("int8-percentile", Stage.PRECISION, Price.CALIBRATES, precision.int8_static("percentile")),
    Step(
        "int8-symmetric", Stage.PRECISION, Price.CALIBRATES, precision.int8_static("minmax", symmetric=True)
    ),
    Step("int8-mixed", Stage.PRECISION, Price.TRIES, int8_mixed),
    Step("int8-guarded", Stage.PRECISION, Price.TRIES, int8_guarded, needs="nncf"),
    Step("low-rank-1/4", Stage.SHAPE, Price.INSTANT, low_rank(1 / 4)),
    Step("low-rank-1/16", Stage.SHAPE, Price.INSTANT, low_rank(1 / 16)),
    Step("low-rank-1/32", Stage.SHAPE, Price.INSTANT, low_rank(1 / 32)),
    Step("student-32", Stage.SHAPE, Price.TRAINS, dense_student((32,)), needs="torch"),
    Step("student-128-64", Stage.SHAPE, Price.TRAINS, dense_student((128, 64)), needs="torch"),
    Step("student-conv-8-16", Stage.SHAPE, Price.TRAINS, convolution_student((8, 16)), needs="torch"),
    Step(
        "student-128-64-matched",
        Stage.SHAPE,
        Price.TRAINS,
        dense_student((128, 64), matched=True),
        needs="torch",
    ),
    Step(
        "student-conv-8-16-matched",
        Stage.SHAPE,
        Price.TRAINS,
        convolution_student((8, 16), matched=True),
        needs="torch",
    ),
    Step("low-rank-1/4-tuned", Stage.SHAPE, Price.TRAINS, low_rank_tuned(1 / 4), needs="torch"),
    Step("low-rank-1/16-tuned", Stage.SHAPE, Price.TRAINS, low_rank_tuned(1 / 16), needs="torch"),
    Step("low-rank-1/32-tuned", Stage.SHAPE, Price.TRAINS, low_rank_tuned(1 / 32), needs="torch"),
    Step("weights-1/4", Stage.SHAPE, Price.TRAINS, weights.fewer_weights(1 / 4), needs="torch"),
    Step("weights-1/10", Stage.SHAPE, Price.TRAINS, weights.fewer_weights(1 / 10), needs="torch"),
    Step("trees-1/2", Stage.SHAPE, Price.TRIES, fewer_trees(1 / 2)),
    Step("trees-1/4", Stage.SHAPE, Price.TRIES, fewer_trees(1 / 4)),
    Step("trees-1/8", Stage.SHAPE, Price.TRIES, fewer_trees(1 / 8)),
    Step("heads-3/4", Stage.SHAPE, Price.TRIES, fewer_heads(3 / 4, tuned=False)),
    Step("heads-3/4-tuned", Stage.SHAPE, Price.TRAINS, fewer_heads(3 / 4, tuned=True), needs="torch"),
    Step("heads-1/2-tuned", Stage.SHAPE, Price.TRAINS, fewer_heads(1 / 2, tuned=True), needs="torch"),
    Step("neurons-1/2", Stage.SHAPE, Price.TRAINS, fewer_neurons(1 / 2), needs="torch"),
    Step("neurons-1/4", Stage.SHAPE, Price.TRAINS, fewer_neurons(1 / 4), needs="torch"),
    Step("neurons-1/8", Stage.SHAPE, Price.TRAINS, fewer_neurons(1 / 8), needs="torch"),
    Step("blocks-3/4", Stage.SHAPE, Price.TRAINS, fewer_blocks(1 / 4), needs="torch"),
    Step("blocks-1/2", Stage.SHAPE, Price.TRAINS, fewer_blocks(1 / 2), needs="torch"),
    *(
        Step(name, Stage.SHAPE, Price.TRIES, tree_student(trees, leaves), needs="sklearn", extra="sklearn")
        for name, trees, leaves in (
            ("student-tree-64", 1, 64),
            ("student-tree-512", 1, 512),
            ("student-forest-8x128", 8, 128),
            ("student-forest-32x256", 32, 256),
        )
    ),
)

__all__ = ["STEPS", "Price", "Stage", "Step"]
