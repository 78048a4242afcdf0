"""Each way to a smaller model does what its name says, alike each time, or says why it cannot."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Draft, Source
from forebay.workshop.compress.graphs import weights_of
from forebay.workshop.compress.learning.module import Graph
from forebay.workshop.compress.parts import Rows
from forebay.workshop.compress.steps import STEPS
from forebay.workshop.compress.steps.blocks import residual_blocks, without
from forebay.workshop.compress.steps.neurons import cut
from forebay.workshop.convert import convert
from support.compressing import accuracy, bench_of, digits, held_out

BY_NAME = {step.name: step for step in STEPS}
TUNE, TEST = np.arange(300), np.arange(300, 1097)

pytestmark = pytest.mark.slow


def made(source: Source, name: str) -> tuple[Draft, float]:
    """The draft by this step, and the points that it loses on rows that nothing has seen."""
    rows = held_out()
    draft = BY_NAME[name].make(source.draft(), bench_of(source, rows.take(TUNE)))
    before, after = (accuracy(source, each, rows.take(TEST)) for each in (source.draft(), draft))
    return draft, 100 * (before - after)


@pytest.mark.parametrize(
    ("kind", "name", "share", "points"),
    [
        ("dense", "fp16", 0.6, 0.5),
        ("dense", "int8-dynamic", 0.35, 2),
        ("dense", "int4-weights", 0.2, 4),
        ("dense", "int8-static", 0.4, 2),
        ("dense", "int8-entropy", 0.4, 2),
        ("dense", "int8-percentile", 0.4, 2),
        ("dense", "int8-symmetric", 0.4, 2),
        ("dense", "int8-mixed", 0.6, 2),
        ("dense", "int8-guarded", 0.4, 2),
        ("convolutional", "int8-guarded", 0.6, 2),
        ("dense", "low-rank-1/4-tuned", 0.6, 6),
        ("dense", "neurons-1/2", 0.4, 5),
        ("dense", "student-32", 0.15, 6),
        ("dense", "shared-256", 0.35, 1),
        ("dense", "weights-1/4", 0.25, 3),
        ("dense", "weights-1/10", 0.2, 8),
        ("convolutional", "shared-256", 0.55, 1),
        ("convolutional", "weights-1/4", 0.45, 8),
        ("convolutional", "int8-static", 0.5, 2),
        ("convolutional", "neurons-1/2", 0.4, 8),
        ("convolutional", "low-rank-1/4-tuned", 0.5, 12),
        ("convolutional", "student-conv-8-16", 0.5, 8),
    ],
)
def test_a_step_makes_it_smaller_and_loses_little(
    kind: str, name: str, share: float, points: float, request: pytest.FixtureRequest
) -> None:
    if name == "int8-guarded":
        pytest.importorskip("nncf", reason="its package comes with the extra `compress`")
    source: Source = request.getfixturevalue(kind)
    draft, lost = made(source, name)
    assert len(draft.graph) < share * len(source.draft().graph)
    assert lost < points


@pytest.mark.parametrize("name", ["int8-entropy", "neurons-1/4", "student-32", "low-rank-1/16"])
def test_the_same_step_gives_the_same_bytes(name: str, dense: Source) -> None:
    assert made(dense, name)[0] == made(dense, name)[0]


def test_what_a_step_cannot_work_on_it_says(dense: Source, convolutional: Source) -> None:
    for source, name, told in (
        (dense, "trees-1/2", "no single ensemble of trees"),
        (dense, "tree-tensors", "no single ensemble of trees"),
        (dense, "blocks-1/2", "0 residual blocks"),
        (dense, "onnxruntime", "in ONNX Runtime already"),
        (dense, "slim", "as simple as can be"),
    ):
        with pytest.raises(Unsupported, match=told):
            made(source, name)
    quantised, _ = made(convolutional, "int8-static")
    with pytest.raises(Unsupported, match="quantised already"):
        BY_NAME["int8-static"].make(quantised, bench_of(convolutional, held_out().take(TUNE)))


def test_a_graph_learns_as_it_is_run(dense: Source, convolutional: Source) -> None:
    import torch  # noqa: PLC0415 (heavy)

    rows = held_out().inputs["x"][:50]
    for source in (dense, convolutional):
        graph = Graph(source.draft().proto(), "scores")
        session = ort.InferenceSession(source.draft().graph, providers=["CPUExecutionProvider"])
        with torch.no_grad():
            ours = graph({"x": torch.tensor(rows)}).numpy()
        np.testing.assert_allclose(ours, session.run(None, {"x": rows})[0], atol=1e-5)


def test_pruned_weights_are_zero_in_what_is_computed(dense: Source) -> None:
    draft, _ = made(dense, "weights-1/10")
    proto = draft.proto()
    shaped = [node.output[0] for node in proto.graph.node if node.op_type == "Reshape"]
    name = next(name for name in shaped if not name.endswith("_all_bits"))
    proto.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run([name], {"x": held_out().inputs["x"][:1]})
    assert np.mean(found != 0) == pytest.approx(0.1, abs=0.002)
    assert found.shape == (64, 128)


def test_pruned_channels_leave_every_layer_narrower(convolutional: Source) -> None:
    shapes = [w.shape for w in weights_of(cut(convolutional.draft(), 0.5).proto()).values() if w.ndim > 1]
    assert shapes == [(8, 1, 3, 3), (16, 8, 3, 3), (64, 10)]


def residual(blocks: int) -> Draft:
    draw = np.random.default_rng(0)
    nodes, weights, here = [], [], "x"
    for block in range(blocks):
        size = 0.01 if block == 1 else 0.5
        weights.append(
            onnx.numpy_helper.from_array(draw.normal(0, size, (8, 8)).astype(np.float32), f"w{block}")
        )
        nodes += [
            onnx.helper.make_node("MatMul", [here, f"w{block}"], [f"m{block}"]),
            onnx.helper.make_node("Relu", [f"m{block}"], [f"r{block}"]),
            onnx.helper.make_node("Add", [here, f"r{block}"], [f"s{block}"]),
        ]
        here = f"s{block}"
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, "g", [value("x", 1, [None, 8])], [value(here, 1, [None, 8])], weights
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    proto.ir_version = 9
    return Draft(proto.SerializeToString())


def test_residual_blocks_are_found_and_left_out() -> None:
    draft = residual(3)
    assert residual_blocks(draft.proto()) == {"s0": "x", "s1": "s0", "s2": "s1"}
    rows = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    lighter = without(draft, ["s1"])
    assert sum(node.op_type == "MatMul" for node in lighter.proto().graph.node) == 2
    (whole,), (part,) = (
        ort.InferenceSession(each.graph, providers=["CPUExecutionProvider"]).run(None, {"x": rows})
        for each in (draft, lighter)
    )
    assert np.abs(whole - part).max() < 0.5  # the one with the small weights has gone


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Source:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (heavy)

    images, labels = digits()
    fitted = RandomForestClassifier(64, random_state=0, n_jobs=1).fit(images[:700], labels[:700])
    folder = tmp_path_factory.mktemp("forest")
    convert(fitted, images[:100]).save(folder)
    return Source.at(Path(folder))


def rows_for(source: Source, places: Any) -> Any:
    rows = held_out().take(places)
    name = source.info.signature.inputs[0].name
    return type(rows)({name: rows.inputs["x"]}, rows.truth)


def test_half_the_trees_answer_nearly_as_all_of_them(forest: Source) -> None:
    draft = BY_NAME["trees-1/2"].make(forest.draft(), bench_of(forest, rows_for(forest, TUNE)))
    assert len(draft.graph) < 0.6 * len(forest.draft().graph)
    before, after = (accuracy(forest, each, rows_for(forest, TEST)) for each in (forest.draft(), draft))
    assert after > before - 0.03


def _boosters() -> Iterator[tuple[str, Any, Any, Any]]:
    """Ensembles of every make, with rows that have gaps where the make knows gaps."""
    from lightgbm import LGBMClassifier  # noqa: PLC0415 (heavy)
    from sklearn.datasets import load_diabetes  # noqa: PLC0415 (heavy)
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor  # noqa: PLC0415 (heavy)
    from xgboost import XGBClassifier  # noqa: PLC0415 (heavy)

    images, labels = digits()
    gaps = np.where(np.random.default_rng(0).random(images.shape) < 0.1, np.nan, images).astype(np.float32)
    rows, truth = load_diabetes(return_X_y=True)
    rows = rows.astype(np.float32)
    holes = np.where(np.random.default_rng(1).random(rows.shape) < 0.1, np.nan, rows).astype(np.float32)
    yield "RandomForestRegressor", RandomForestRegressor(20, random_state=0), rows, truth
    yield "HistGradientBoostingRegressor", HistGradientBoostingRegressor(max_iter=30), holes, truth
    yield "LGBMClassifier", LGBMClassifier(n_estimators=8, verbose=-1), gaps, labels
    yield "XGBClassifier", XGBClassifier(n_estimators=8, max_depth=4), gaps, labels.astype(int)


def test_trees_as_tensors_answer_as_trees_do_gaps_and_all(tmp_path: Path) -> None:
    for name, model, rows, truth in _boosters():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # LightGBM on names of columns
            convert(model.fit(rows[:300], truth[:300]), rows[:50]).save(tmp_path / name)
        source = Source.at(tmp_path / name)
        given = source.info.signature.inputs[0].name
        draft = BY_NAME["tree-tensors"].make(source.draft(), bench_of(source, Rows({given: rows[:300]})))
        operators = {node.op_type for node in draft.proto().graph.node}
        assert not any("Tree" in operator for operator in operators), name
        before, after = (
            ort.InferenceSession(each.graph, providers=["CPUExecutionProvider"]).run(None, {given: rows})
            for each in (source.draft(), draft)
        )
        for one, other in zip(before, after, strict=True):
            if one.dtype.kind == "f":
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(one).max(), err_msg=name)
            else:
                assert (one == other).mean() > 0.999, name


def test_a_forest_as_tensors_says_the_same_labels_and_goes_with_fewer_trees(forest: Source) -> None:
    bench = bench_of(forest, rows_for(forest, TUNE))
    half = BY_NAME["trees-1/2"].make(forest.draft(), bench)
    draft = BY_NAME["tree-tensors"].make(half, bench)
    before, after = (accuracy(forest, each, rows_for(forest, TEST)) for each in (half, draft))
    assert before == after


def test_a_forest_teaches_a_network_that_answers_by_the_same_names(forest: Source) -> None:
    draft = BY_NAME["student-128-64"].make(forest.draft(), bench_of(forest, rows_for(forest, TUNE)))
    outputs = {value.name for value in draft.proto().graph.output}
    assert outputs == {spec.name for spec in forest.info.signature.outputs}
    assert len(draft.graph) < 0.1 * len(forest.draft().graph)
    assert accuracy(forest, draft, rows_for(forest, TEST)) > 0.8


@pytest.mark.parametrize("name", ["int8-static", "int8-mixed"])
def test_a_perceptron_of_scikit_learn_becomes_one_of_integers(name: str, tmp_path: Path) -> None:
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 (heavy)

    images, labels = digits()
    fitted = MLPClassifier((128, 64), max_iter=60, random_state=0, early_stopping=True)
    convert(fitted.fit(images[:700], labels[:700]), images[:50]).save(tmp_path)
    source = Source.at(tmp_path)
    given = source.info.signature.inputs[0].name
    rows = Rows({given: images[700:]}, labels[700:])
    draft = BY_NAME[name].make(source.draft(), bench_of(source, rows.take(TUNE)))
    before, after = (accuracy(source, each, rows.take(TEST)) for each in (source.draft(), draft))
    assert len(draft.graph) < 0.6 * len(source.draft().graph)
    assert before - after < 0.03


def test_half_of_a_booster_answers_nearly_as_all_of_it(tmp_path: Path) -> None:
    from sklearn.datasets import load_diabetes  # noqa: PLC0415 (heavy)
    from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415 (heavy)

    rows, truth = load_diabetes(return_X_y=True)
    rows = rows.astype(np.float32)
    fitted = GradientBoostingRegressor(n_estimators=100, random_state=0).fit(rows[:300], truth[:300])
    convert(fitted, rows[:50]).save(tmp_path)
    source = Source.at(tmp_path)
    name = source.info.signature.inputs[0].name
    draft = BY_NAME["trees-1/2"].make(source.draft(), bench_of(source, _numbers(name, rows, truth)))
    before, after = (
        ort.InferenceSession(each.graph, providers=["CPUExecutionProvider"]).run(None, {name: rows[300:]})[0]
        for each in (source.draft(), draft)
    )
    errors = [float(np.sqrt(np.mean((said.reshape(-1) - truth[300:]) ** 2))) for said in (before, after)]
    assert errors[1] < 1.1 * errors[0]


def _numbers(name: str, rows: Any, truth: Any) -> Any:
    from forebay.workshop.compress.parts import Rows  # noqa: PLC0415 (beside its only use)

    return Rows({name: rows[:300]}, truth[:300].astype(np.float64))
