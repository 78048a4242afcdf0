"""What may be lost is written once, read without guessing, and judged with chance in mind."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from forebay.core.errors import Malformed
from forebay.workshop.compress.keep import (
    METRICS,
    Answers,
    Finding,
    Promise,
    Sight,
    Verdict,
    judge,
    margin,
    parse,
    standing,
)
from forebay.workshop.compress.keep.chance import paired_interval
from forebay.workshop.compress.keep.unseen import spoiled


def labelled(truth: list[str] | Any, before: list[str] | Any, after: list[str] | Any) -> Sight:
    return Sight(
        np.asarray(truth, dtype=str),
        Answers(labels=np.asarray(after, dtype=str)),
        Answers(labels=np.asarray(before, dtype=str)),
    )


def wrong(count: int, of: int) -> Any:
    said = np.full(of, "a", dtype="<U1")
    said[:count] = "b"
    return said


def test_the_examples_of_the_manual_are_read() -> None:
    text = "accuracy>=-0.5, rmse<=+2%; agreement>=99\nrecall[class=fraud]>=-0.2, f1[region=north]>=90"
    assert parse(text) == (
        Promise("accuracy", -0.5),
        Promise("rmse", 2.0, relative=True),
        Promise("agreement", 99.0, change=False),
        Promise("recall", -0.2, where=("class", "fraud")),
        Promise("f1", 90.0, change=False, where=("region", "north")),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot read ''"),
        ("accuracy", "cannot read 'accuracy' as a promise; write accuracy>=-0.5"),
        ("acuracy>=-1", "did you mean 'accuracy'?"),
        ("accuracy<=-0.5", "accuracy is better when it is larger; write accuracy>=-0.5"),
        ("rmse>=+2%", r"rmse is better when it is smaller; write rmse<=\+2"),
        ("rmse<=2%", r"needs a sign; write rmse<=\+2%"),
        ("agreement>=-1", "compares with the original already; write agreement>=99, without a sign"),
        ("cosine>=+2%", "write cosine>=0.99"),
        ("accuracy>=-101", "between 0 and 100 points"),
        ("rmse<=1e999", "no number"),
        ("accuracy>=-0.5,", "cannot read ''"),
        ("accuracy>=-0.5 recall>=-1", "with commas between several"),
        ("accuracy>=-0.5, accuracy>=-1", "accuracy is promised twice"),
        ("recall[class=]>=-1", "write a class or slice as"),
        ("macro_f1[class=a]>=-1", r"write f1\[class=a\]"),
        ("accuracy>=-1" * 1000, "at most 4000 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(Malformed, match=told):
        parse(text)


numbers = st.floats(0, 99, allow_nan=False).map(lambda value: round(value, 6))
places = st.none() | st.tuples(
    st.text("abcXYZ_ ", min_size=1).map(str.strip).filter(bool), st.text(min_size=1)
)


@st.composite
def promises(draw: st.DrawFn) -> Promise:
    metric = METRICS[draw(st.sampled_from(sorted(METRICS)))]
    change = draw(st.booleans()) and not metric.compares
    relative = change and draw(st.booleans())
    bound = draw(numbers) * (draw(st.sampled_from((1, -1))) if change else 1)
    return Promise(metric.name, bound + 0.0, change, relative, draw(places))


@given(promises())
def test_a_promise_is_read_as_it_was_written(promise: Promise) -> None:
    if promise.where and promise.where[0] == "class" and not promise.about.by_class:
        return
    assert parse(str(promise)) == (promise,)


@given(st.text() | st.text('acur[]=<>+-.%,;"\\ 059e'))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except Malformed:
        return
    assert parse(", ".join(map(str, found))) == found


def test_a_loss_beyond_the_bound_breaks_the_promise() -> None:
    sight = labelled(["a"] * 2000, wrong(20, 2000), wrong(60, 2000))
    (finding,) = judge(parse("accuracy>=-0.5"), sight)
    assert finding.verdict is Verdict.BROKEN
    assert finding.change == pytest.approx(-2.0)
    assert "accuracy 99 → 97 (\N{MINUS SIGN}2.0, 95 % interval " in finding.sentence
    assert finding.sentence.endswith("promise accuracy>=-0.5 broken")


def test_the_same_answers_on_few_rows_prove_nothing_and_on_many_they_do() -> None:
    few, many = (labelled(["a"] * rows, wrong(3, rows), wrong(3, rows)) for rows in (100, 2000))
    (finding,) = judge(parse("accuracy>=-0.5"), few)
    assert finding.verdict is Verdict.UNPROVEN
    assert "not enough data to promise accuracy>=-0.5 (100 rows)" in finding.sentence
    assert judge(parse("accuracy>=-0.5"), many)[0].verdict is Verdict.KEPT
    assert judge(parse("accuracy>=-0.5"), few, rows=2000)[0].verdict is Verdict.KEPT


def test_a_good_average_hides_no_ruined_minority() -> None:
    truth = np.array(["honest"] * 4950 + ["fraud"] * 50)
    after = truth.copy()
    after[-10:] = "honest"
    findings = judge(parse("accuracy>=-0.5, recall[class=fraud]>=-0.2"), labelled(truth, truth, after))
    assert [finding.verdict for finding in findings] == [Verdict.KEPT, Verdict.BROKEN]
    assert standing(findings) is Verdict.BROKEN


def test_a_slice_is_judged_by_its_own_rows() -> None:
    truth, after = np.full(1000, "a"), np.full(1000, "a")
    after[:20] = "b"
    region = np.array(["north"] * 100 + ["south"] * 900)
    sight = Sight(truth, Answers(labels=after), Answers(labels=truth), {"region": region})
    north, south = judge(parse("accuracy[region=north]>=-5, accuracy[region=south]>=-5"), sight)
    assert (north.rows, north.after, north.verdict) == (100, 80.0, Verdict.BROKEN)
    assert (south.rows, south.after, south.verdict) == (900, 100.0, Verdict.KEPT)
    with pytest.raises(Malformed, match="there are north, south"):
        judge(parse("accuracy[region=west]>=-5"), sight)
    with pytest.raises(Malformed, match=r"slice 'town'; there are \['region'\]"):
        judge(parse("accuracy[town=x]>=-5"), sight)


def test_a_figure_that_the_data_cannot_give_is_an_error_and_no_silence() -> None:
    unlabelled = Sight(None, Answers(labels=wrong(0, 9)), Answers(labels=wrong(0, 9)))
    with pytest.raises(Malformed, match="accuracy needs labels, and the data has none"):
        judge(parse("accuracy>=-0.5"), unlabelled)
    with pytest.raises(Malformed, match="auc needs a probability for each class"):
        judge(parse("auc>=-0.5"), labelled(["a"], ["a"], ["a"]))


def test_relative_promises_of_a_regression_follow_the_original() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=1000)
    before = truth + draw.normal(size=1000)
    sight = Sight(truth, Answers(values=before * 1.001), Answers(values=before))
    (finding,) = judge(parse("rmse<=+2%"), sight)
    assert finding.verdict is Verdict.KEPT
    assert finding.change == pytest.approx(0.1, abs=0.1)
    worse = Sight(truth, Answers(values=before + 1.0), Answers(values=before))
    assert judge(parse("rmse<=+2%"), worse)[0].verdict is Verdict.BROKEN
    ruined = Sight(truth, Answers(values=before * np.nan), Answers(values=before))
    (finding,) = judge(parse("rmse<=+2%"), ruined)
    assert (finding.verdict, finding.after) == (Verdict.BROKEN, None)
    assert "unknown" in finding.sentence


def test_what_has_no_bound_is_written_down_and_read_again() -> None:
    labels = wrong(1, 40)
    (finding,) = judge(parse("macro_f1>=-1"), labelled(["a"] * 40, labels, labels))
    assert (finding.verdict, finding.low, finding.high) == (Verdict.UNPROVEN, None, None)
    assert margin([finding]) == -np.inf
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding


def test_agreement_and_cosine_need_no_labels() -> None:
    sight = Sight(None, Answers(labels=wrong(2, 3000)), Answers(labels=wrong(0, 3000)))
    (finding,) = judge(parse("agreement>=99"), sight)
    assert finding.verdict is Verdict.KEPT
    vectors = np.random.default_rng(0).normal(size=(200, 16))
    close = Sight(None, Answers(values=vectors + 0.001), Answers(values=vectors))
    assert judge(parse("cosine>=0.99"), close)[0].verdict is Verdict.KEPT


def test_the_figures_are_those_of_scikit_learn() -> None:
    from sklearn import metrics  # noqa: PLC0415 (heavy)

    draw = np.random.default_rng(1)
    truth = draw.choice(["a", "b", "c"], 400)
    scores = draw.dirichlet(np.ones(3), 400).round(2) + 0.001
    scores /= scores.sum(axis=1, keepdims=True)
    said = Answers(np.array(["a", "b", "c"])[scores.argmax(axis=1)], scores, None, ("a", "b", "c"))
    sight = Sight(truth, said, said)
    expected = {
        "accuracy": metrics.accuracy_score(truth, said.labels),
        "macro_f1": metrics.f1_score(truth, said.labels, average="macro"),
        "precision": metrics.precision_score(truth, said.labels, average="macro"),
        "recall": metrics.recall_score(truth, said.labels, average="macro"),
        "auc": metrics.roc_auc_score(truth, scores, multi_class="ovr"),
        "log_loss": metrics.log_loss(truth, scores),
    }
    assert {name: METRICS[name].figure(sight) for name in expected} == pytest.approx(expected)
    numbers = Sight(scores[:, 0], Answers(values=scores[:, 1]), Answers(values=scores[:, 1]))
    assert METRICS["r2"].figure(numbers) == pytest.approx(metrics.r2_score(scores[:, 0], scores[:, 1]))


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(5)
    lost = draw.binomial(500, 0.02, 400)
    gained = draw.binomial(500, 0.01, 400)
    covered = 0
    for one, other in zip(lost, gained, strict=True):
        low, high = paired_interval(float(one), float(other), 500.0)
        covered += low <= -0.01 <= high
    assert 0.92 <= covered / 400 <= 0.98


def interval(finding: Finding) -> tuple[float, float]:
    """Its two ends, both of which have to be known."""
    assert finding.low is not None
    assert finding.high is not None
    return finding.low, finding.high


def kinds(rows: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).choice(["a", "b", "c"], rows)


def losing(truth: Any, places: Any) -> Any:
    said = truth.copy()
    said[places] = np.where(truth[places] == "a", "b", "a")
    return said


@pytest.mark.parametrize("figure", ["macro_f1>=-2", "recall>=-2%", "f1[class=a]>=-3", "precision>=-2"])
def test_no_row_lost_of_few_proves_nothing_whatever_the_figure(figure: str) -> None:
    few, many = kinds(110), kinds(1500)
    (finding,) = judge(parse(figure), labelled(few, few, few))
    assert (finding.change, finding.verdict) == (0.0, Verdict.UNPROVEN)
    low, high = interval(finding)
    assert low < -2 < high == 0
    assert judge(parse(figure), labelled(many, many, many))[0].verdict is Verdict.KEPT


def test_the_same_rows_again_leave_a_wider_doubt_than_more_of_them() -> None:
    lows = []
    for rows in (120, 240, 480, 960):
        truth = kinds(rows)
        lows.append(interval(judge(parse("macro_f1>=-1"), labelled(truth, truth, truth))[0])[0])
    assert lows == sorted(lows)


def test_without_a_loss_the_doubt_is_that_of_clopper_and_pearson() -> None:
    for rows in (150, 600):
        truth = kinds(rows)
        (finding,) = judge(parse("recall>=-1%"), labelled(truth, truth, truth))
        exact = 100 * (1 - 0.025 ** (1 / rows))
        assert -1.5 * exact < interval(finding)[0] < -0.9 * exact


def test_numbers_that_are_all_the_same_leave_a_doubt_too_and_small_changes_do_not() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=200)
    before = truth + 0.3 * draw.normal(size=200)
    same, near = (
        Sight(truth, Answers(values=said), Answers(values=before)) for said in (before, before * 1.001)
    )
    assert judge(parse("rmse<=+2%"), same)[0].verdict is Verdict.UNPROVEN
    assert judge(parse("rmse<=+2%"), near)[0].verdict is Verdict.KEPT
    vectors = Answers(values=draw.normal(size=(200, 8)))
    (finding,) = judge(parse("cosine>=0.99"), Sight(None, vectors, vectors))
    assert finding.after == 1.0
    assert interval(finding)[0] < 0.99


@given(st.integers(2, 60), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_a_few_rows_are_spoiled_and_none_is_mended(rows: int, lost: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = draw.choice(["a", "b", "c"], rows)
    sight = labelled(truth, truth, losing(truth, draw.integers(0, rows, min(lost, rows))))
    before, after = (METRICS["accuracy"].figure(each) for each in (sight, spoiled(sight, draw)))
    assert after <= before
    assert len(spoiled(sight, draw)) == rows


@pytest.mark.slow
@given(st.integers(100, 300), st.integers(0, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_an_interval_is_never_a_point_and_holds_what_was_seen(rows: int, lost: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = draw.choice(["a", "b", "c"], rows)
    sight = labelled(truth, truth, losing(truth, draw.choice(rows, lost, replace=False)))
    for finding in judge(parse("macro_f1>=-1, accuracy>=-1, agreement>=99"), sight):
        low, high = interval(finding)
        assert finding.change is not None
        assert low < high
        assert low - 1e-9 <= finding.change <= high + 1e-9


@pytest.mark.slow
def test_an_interval_by_drawing_covers_rare_losses_as_often_as_it_says() -> None:
    draw = np.random.default_rng(7)
    missed = 0
    for _ in range(80):
        truth = draw.choice(["a", "b", "c", "d"], 200)
        sight = labelled(truth, truth, losing(truth, np.flatnonzero(draw.random(200) < 0.01)))
        (finding,) = judge(parse("macro_f1>=-1"), sight)
        low, high = interval(finding)
        missed += not low <= -1.0 <= high
    assert missed <= 4
