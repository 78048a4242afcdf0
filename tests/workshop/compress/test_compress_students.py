"""Small trees and networks learn from whatever the original is: classes, logits and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from forebay.core.errors import Unsupported
from forebay.workshop.compress import STEPS, Rows, Source, inputs_of
from forebay.workshop.compress.drafts import Draft
from forebay.workshop.convert import convert
from support.compressing import accuracy, bench_of, digits, held_out, mean_pooled, tokens

BY_NAME = {step.name: step for step in STEPS}
TUNE, TEST = np.arange(500), np.arange(500, 1097)
pytestmark = pytest.mark.slow


def converted(model: Any, rows: Any, folder: Path) -> Source:
    convert(model, rows[:100]).save(folder)
    return Source.at(folder)


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A booster of 300 trees for digits."""
    from sklearn.ensemble import GradientBoostingClassifier  # noqa: PLC0415 (heavy)

    images, labels = digits()
    fitted = GradientBoostingClassifier(n_estimators=30, random_state=0).fit(images[:700], labels[:700])
    return converted(fitted, images, Path(tmp_path_factory.mktemp("boosted")))


def rows_for(source: Source, places: Any) -> Rows:
    rows = held_out().take(places)
    return Rows(inputs_of(source.info, rows.inputs["x"]), rows.truth)


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("student-tree-64", 0.6), ("student-tree-512", 0.6), ("student-forest-32x256", 0.85)],
)
def test_a_booster_teaches_trees_that_answer_by_the_same_names(
    name: str, at_least: float, boosted: Source
) -> None:
    draft = BY_NAME[name].make(boosted.draft(), bench_of(boosted, rows_for(boosted, TUNE)))
    assert [value.name for value in draft.proto().graph.output] == [
        spec.name for spec in boosted.info.signature.outputs
    ]
    assert accuracy(boosted, draft, rows_for(boosted, TEST)) > at_least
    said = run(draft, rows_for(boosted, TEST))
    scores = next(values for values in said if values.dtype == np.float32)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-4)


def test_a_network_teaches_a_small_forest(dense: Source) -> None:
    draft = BY_NAME["student-forest-8x128"].make(dense.draft(), bench_of(dense, rows_for(dense, TUNE)))
    assert any(node.op_type == "TreeEnsembleRegressor" for node in draft.proto().graph.node)
    assert accuracy(dense, draft, rows_for(dense, TEST)) > 0.75


def run(draft: Draft, rows: Rows) -> list[Any]:
    session = ort.InferenceSession(draft.graph, providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, dict(rows.inputs))
    return found


@pytest.mark.parametrize(
    "name",
    ["student-tree-64", "student-forest-8x128", "student-forest-32x256", "student-32", "student-128-64"],
)
def test_a_regression_is_learned_by_its_numbers(name: str, tmp_path: Path) -> None:
    from sklearn.datasets import load_diabetes  # noqa: PLC0415 (heavy)
    from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415 (heavy)

    rows, truth = load_diabetes(return_X_y=True)
    rows = rows.astype(np.float32)
    source = converted(GradientBoostingRegressor(random_state=0).fit(rows[:300], truth[:300]), rows, tmp_path)
    tune = Rows(inputs_of(source.info, rows[:300]), truth[:300])
    draft = BY_NAME[name].make(source.draft(), bench_of(source, tune))
    test = Rows(inputs_of(source.info, rows[300:]))
    before, after = (run(each, test)[0].reshape(-1) for each in (source.draft(), draft))
    assert after.shape == before.shape
    errors = [np.sqrt(np.mean((said - truth[300:]) ** 2)) for said in (before, after)]
    assert errors[1] < 1.2 * errors[0]
    assert np.corrcoef(before, after)[0, 1] > 0.8


def test_trees_learn_from_tables_alone(tmp_path: Path) -> None:
    source = mean_pooled(tmp_path / "encoder", quantised=False)
    with pytest.raises(Unsupported, match="its rows are no table"):
        BY_NAME["student-tree-64"].make(source.draft(), bench_of(source, Rows({"x": tokens(40)})))


@pytest.mark.parametrize("name", ["student-128-64-matched", "student-conv-8-16-matched"])
def test_a_student_is_led_by_what_its_teacher_sees(name: str, convolutional: Source) -> None:
    bench = bench_of(convolutional, rows_for(convolutional, TUNE))
    draft = BY_NAME[name].make(convolutional.draft(), bench)
    assert draft != BY_NAME[name.removesuffix("-matched")].make(convolutional.draft(), bench)
    assert "matched" not in {output for node in draft.proto().graph.node for output in node.output}
    assert accuracy(convolutional, draft, rows_for(convolutional, TEST)) > 0.85


def test_what_is_no_network_has_no_features_to_match(boosted: Source) -> None:
    with pytest.raises(Unsupported, match="does not end in a dense layer"):
        BY_NAME["student-128-64-matched"].make(boosted.draft(), bench_of(boosted, rows_for(boosted, TUNE)))
