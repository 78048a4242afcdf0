"""A model becomes smaller from a notebook: proved, kept, deployed, and asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forebay
from forebay.client import Hub, JobFailed, NoProgress
from forebay.client.progress import LineProgress
from forebay.client.results import Version
from forebay.core.errors import Malformed, NotFound
from support.compressing import digits
from support.instance import Instance
from support.small_networks import TAUGHT, artifact, table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Said(NoProgress):
    def __init__(self) -> None:
        self.steps: list[str] = []
        self.tried: list[Mapping[str, Any]] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def candidate(self, told: Mapping[str, Any]) -> None:
        self.tried.append(told)


@pytest.fixture(scope="module")
def hub(shared_forebay: Instance) -> Iterator[Hub]:
    with forebay.connect(shared_forebay.hub_url, shared_forebay.admin_key) as found:
        yield found


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return artifact(tmp_path_factory.mktemp("network") / "artifact")


@pytest.fixture(scope="module")
def said() -> Said:
    return Said()


@pytest.fixture(scope="module")
def small(hub: Hub, network: Path, said: Said) -> Version:
    """A compressed version of a model that was published from a folder."""
    hub.publish(network, "digits")
    images, labels = digits()
    return hub.compress(
        "digits",
        images[TAUGHT:],
        labels[TAUGHT:].astype(int),
        keep="accuracy>=-4",
        goal="size",
        time_budget_s=15,
        progress=said,
    )


def test_a_smaller_version_says_what_it_came_from_and_what_it_lost(hub: Hub, small: Version) -> None:
    parent = hub.show("digits:1")
    assert str(small) == "digits:2"
    assert small.size_bytes < parent.size_bytes
    assert (small.lineage["parent"], small.lineage["parent_digest"]) == ("digits:1", parent.digest)
    assert "smaller, accuracy" in small.sentence
    assert small.sentence.endswith("promise kept")
    assert parent.sentence == ""
    [evidence] = small.evidence
    assert (evidence["kind"], evidence["verdict"]) == ("compression", "kept")


def test_it_is_deployed_and_answers_as_well_as_was_proved(hub: Hub, small: Version) -> None:
    hub.deploy("digits", small)
    images, labels = digits()
    answer = hub.predict("digits", images[TAUGHT:])
    chosen = [max(row["scores"], key=row["scores"].__getitem__) for row in answer]
    assert answer.version == 2
    assert np.mean(np.array(chosen) == labels[TAUGHT:]) > 0.85


def test_each_candidate_is_shown_while_the_search_goes_on(small: Version, said: Said) -> None:
    assert {"name", "outcome", "text"} <= set(said.tried[0])
    assert any(text.startswith("trying ") for text in said.steps)
    assert any(text.startswith("proving ") for text in said.steps)


def test_the_report_is_a_page_with_pictures(hub: Hub, small: Version) -> None:
    page = hub.report("digits:2").decode()
    assert "Promise kept" in page
    assert "<svg" in page
    with pytest.raises(NotFound, match="only trainings and compressions write one"):
        hub.report("digits:1")


def test_a_promise_that_does_not_parse_costs_no_upload(hub: Hub, said: Said) -> None:
    before = len(hub.jobs())
    shown = Said()
    for keep, goal, told in (
        ("acuracy>=-1", "size", "did you mean 'accuracy'"),
        ("accuracy>=-1", "speed", "nothing to"),
    ):
        with pytest.raises(Malformed, match=told):
            hub.compress("digits:1", table(), "digit", keep=keep, goal=goal, progress=shown)
    assert (shown.steps, len(hub.jobs())) == ([], before)


def test_a_column_that_is_not_there_fails_the_job_and_says_so(hub: Hub, small: Version) -> None:
    with pytest.raises(JobFailed, match="there is no column 'figure'") as failure:
        hub.compress("digits:1", table(), "figure", keep="accuracy>=-4")
    assert failure.value.job.kind == "compress"
    assert hub.show("digits").version == 2


def test_a_log_gets_a_line_for_each_candidate(capsys: pytest.CaptureFixture[str]) -> None:
    import sys  # noqa: PLC0415 (as it is while the test captures it)

    LineProgress(sys.stdout).candidate({"text": "fp16: 0.90 of the time in 1; kept"})
    assert capsys.readouterr().out == "fp16: 0.90 of the time in 1; kept\n"
