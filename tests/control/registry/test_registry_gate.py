"""The gate as a pure function: only a version that is proved, here and on these rows, passes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.control.hub.promises import promised
from forebay.control.registry.gate import Candidate, Rule, judge, proved_on
from forebay.core import MachineKind
from forebay.workshop.compress.keep import METRICS
from support.evidence import DATA, ELSEWHERE, HERE, OTHER_DATA, evidence, finding

OWN, ORIGINAL, STRANGER = "a" * 64, "b" * 64, "c" * 64
NODES: dict[str, MachineKind | None] = {"n1": HERE}


def rule(keep: str = "accuracy>=-0.5", data: str = DATA) -> Rule:
    return Rule(promised(keep), data, "version 1", frozenset({ORIGINAL}))


def candidate(*entries: dict[str, Any], digest: str = OWN) -> Candidate:
    return Candidate(frozenset({digest}), "onnxruntime", [{"kind": "parity", "rows": 40}, *entries])


def entry(*findings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return evidence(*findings, **({"digest": OWN, "source": ORIGINAL} | more))


def refusal(*findings: dict[str, Any], keep: str = "accuracy>=-0.5", **more: Any) -> str:
    found = judge(candidate(entry(*findings, **more)), rule(keep), NODES)
    assert found is not None
    return found


def test_a_version_that_is_proved_passes() -> None:
    assert judge(candidate(entry()), rule(), NODES) is None


def test_the_original_passes_without_evidence_wherever_it_runs() -> None:
    assert judge(candidate(digest=ORIGINAL), rule(), {"n1": ELSEWHERE}) is None


def test_a_version_without_evidence_is_told_what_it_lacks() -> None:
    told = "it has no evidence of what it lost against version 1, and accuracy>=-0.5 is to be kept"
    assert judge(candidate(), rule(), NODES) == told


def test_a_broken_promise_is_told_with_its_figure() -> None:
    assert refusal(finding(change=-0.8)) == "accuracy lost 0.8 points, 0.5 are allowed"


def test_what_chance_could_have_made_is_no_proof() -> None:
    told = refusal(finding(change=-0.1, low=-1.2, high=0.9))
    assert told.startswith("accuracy lost 0.1 points, 0.5 are allowed, and on 900 rows that may be chance")
    assert "95 % interval −1.2 to 0.9 points" in told  # noqa: RUF001 (a minus sign, as people write it)


def test_a_missing_figure_is_an_error_and_never_passed_over() -> None:
    told = refusal(finding(), keep="accuracy>=-0.5, recall[class=8]>=-1")
    assert "recall[class=8]>=-1 is to be kept, and its evidence has no figure for that" in told
    assert "it speaks of accuracy>=-0.5" in told


def test_a_figure_that_is_no_number_is_an_error() -> None:
    assert "no number for accuracy" in refusal(finding() | {"change": None})
    assert "may be chance: 95 % interval unknown" in refusal(finding() | {"low": None})


def test_the_average_does_not_prove_a_class() -> None:
    assert "no figure for that" in refusal(finding("accuracy>=-0.5"), keep="accuracy[class=8]>=-0.5")


def test_a_change_does_not_prove_a_figure() -> None:
    assert "no figure for that" in refusal(finding("accuracy>=-0.5"), keep="accuracy>=97")


def test_a_stricter_promise_proves_a_laxer_one() -> None:
    both = (finding("accuracy>=-0.5", -0.1), finding("agreement>=98", 99.0))
    assert judge(candidate(entry(*both)), rule("accuracy>=-2, agreement>=95"), NODES) is None


def test_a_laxer_promise_proves_a_stricter_one_by_its_interval_when_it_stands_alone() -> None:
    assert judge(candidate(entry(finding("accuracy>=-1", -0.1, -0.3))), rule(), NODES) is None
    assert "accuracy lost 0.6 points, 0.5 are allowed" in refusal(finding("accuracy>=-1", -0.6, -0.9))


def test_beside_others_a_laxer_promise_proves_no_stricter_one() -> None:
    told = refusal(finding("accuracy>=-1", -0.1), finding("agreement>=98", 99.0))
    assert "it was only held to accuracy>=-1, and accuracy>=-0.5 is to be kept" in told


def test_a_promise_that_nobody_asks_for_here_is_not_to_be_broken_either() -> None:
    told = refusal(finding(), finding("recall[class=8]>=-1", -7.0))
    assert told == "its own evidence says that recall[class=8]>=-1 is broken"


def test_a_batch_size_that_ruins_it_is_told() -> None:
    assert refusal(by_batch={"1": "kept", "128": "broken"}) == "its promises are broken in batches of 128"


def test_evidence_that_calls_itself_unproven_is_believed() -> None:
    assert refusal(verdict="unproven") == "its own evidence says unproven"


def test_evidence_of_other_bytes_is_refused() -> None:
    assert "its evidence is of other bytes (cccccccccccc)" in refusal(digest=STRANGER)


def test_a_loss_against_a_version_that_had_lost_already_is_refused() -> None:
    told = refusal(source=STRANGER)
    assert "measured against another original (cccccccccccc) and not against version 1" in told


def test_a_proof_on_other_data_is_refused() -> None:
    assert "measured on other data (eeeeeeeeeeee)" in refusal(data_digest=OTHER_DATA)


def test_where_no_data_is_named_any_proof_counts_and_says_its_own() -> None:
    proved = candidate(entry(data_digest=OTHER_DATA))
    assert judge(proved, rule(data=""), NODES) is None
    assert proved_on(proved, rule(data=""), NODES) == OTHER_DATA
    assert proved_on(candidate(), rule(data=""), NODES) == ""


def test_evidence_that_was_sent_along_is_not_believed() -> None:
    assert "came along when it was published (job-7)" in refusal(claimed_in="job-7")


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (ELSEWHERE, "than the node 'n2', which lacks avx512_vnni"),
        (MachineKind("aarch64", HERE.features, HERE.packages), "which is aarch64 and not x86_64"),
        (MachineKind("x86_64", (*HERE.features, "amx_int8"), HERE.packages), "which has amx_int8 besides"),
        (
            MachineKind("x86_64", HERE.features, {"onnxruntime": "1.25.0"}),
            "which has onnxruntime 1.25.0 and not 1.24.1",
        ),
        (MachineKind("x86_64", HERE.features, {}), "which has onnxruntime (which version is unknown)"),
        (None, "the node 'n2' does not say what kind of machine it is"),
    ],
)
def test_another_kind_of_machine_has_to_measure_again(machine: MachineKind | None, told: str) -> None:
    found = judge(candidate(entry()), rule(), {"n1": HERE, "n2": machine})
    assert found is not None
    assert told in found


def test_another_release_of_a_backend_that_it_does_not_run_in_changes_nothing() -> None:
    nodes = {"n1": MachineKind("x86_64", HERE.features, {**HERE.packages, "openvino": "2027.0"})}
    assert judge(candidate(entry()), rule(), nodes) is None
    in_openvino = replace(candidate(entry()), backend="openvino")
    assert "openvino 2027.0 and not 2026.1.0" in (judge(in_openvino, rule(), nodes) or "")


def test_without_any_node_nothing_is_proved() -> None:
    assert "no node has said yet" in (judge(candidate(entry()), rule(), {}) or "")


def test_one_proof_is_enough_and_otherwise_the_latest_is_spoken_of() -> None:
    elsewhere = entry(machine={"architecture": "aarch64", "features": [], "packages": {}})
    assert judge(candidate(elsewhere, entry()), rule(), NODES) is None
    broken = candidate(entry(finding(change=-3.0)), elsewhere)
    assert "another kind of machine" in (judge(broken, rule(), NODES) or "")


FIELDS = ["verdict", "digest", "source_digest", "data_digest", "findings", "by_batch", "machine"]


@pytest.mark.parametrize("field", FIELDS)
def test_evidence_that_lacks_a_part_is_refused(field: str) -> None:
    lacking = {name: value for name, value in entry().items() if name != field}
    assert f"`{field}`" in (judge(candidate(lacking), rule(), NODES) or "")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from(FIELDS), value=ANYTHING)
def test_evidence_that_was_tampered_with_never_passes_and_never_fails_the_hub(field: str, value: Any) -> None:
    honest = entry()
    if value == honest[field]:
        return
    found = judge(candidate(honest | {field: value}), rule(), NODES)
    assert found
    assert isinstance(found, str)


METRIC = st.sampled_from(sorted(METRICS))
NUMBER = st.floats(-50, 50).map(lambda value: round(value, 3))


@given(name=METRIC, bound=NUMBER, change=NUMBER, spread=st.floats(0, 5))
def test_a_figure_passes_exactly_when_its_whole_interval_is_within_the_bound(
    name: str, bound: float, change: float, spread: float
) -> None:
    metric = METRICS[name]
    bound = abs(bound) if metric.compares else bound
    text = f"{name}{'>=' if metric.larger else '<='}{bound if metric.compares else format(bound, '+')}"
    found = finding(text, change, change - spread, change + spread)
    worst = change - spread if metric.larger else change + spread
    within = worst >= bound - 1e-9 if metric.larger else worst <= bound + 1e-9
    told = judge(candidate(entry(found)), rule(text), NODES)
    assert (told is None) == within
    assert told is None or name in told


@given(loss=st.floats(0.5, 100, exclude_min=True), said=st.sampled_from(["kept", "unproven", "broken"]))
def test_a_summary_that_lies_about_its_figures_is_not_believed(loss: float, said: str) -> None:
    if math.isclose(loss, 0.5, abs_tol=1e-8):
        return
    lie = finding(change=-loss) | {"verdict": said}
    told = refusal(lie, verdict="kept", by_batch={"1": "kept"})
    assert told.startswith("accuracy lost")
