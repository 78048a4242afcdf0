"""A notebook's day, against a real hub and a real node, on both databases."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import forebay
from forebay.client import Hub, JobFailed, NoProgress
from forebay.core.errors import Conflict, Forbidden, Malformed, NotFound, Unauthenticated
from support.instance import Instance, until

pytestmark = pytest.mark.slow

IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.fixture
def hub(shared_forebay: Instance) -> Iterator[Hub]:
    with forebay.connect(shared_forebay.hub_url, shared_forebay.admin_key) as found:
        yield found


@pytest.fixture(scope="module")
def iris() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS, SPECIES)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model's name that no other test has."""
    return f"m{abs(hash(request.node.nodeid)) % 10**9}"


class Said(NoProgress):
    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)


def test_a_notebooks_model_answers_over_http_as_it_does_at_home(hub: Hub, iris: Any, name: str) -> None:
    version = hub.publish(iris, name, sample=IRIS[::3])
    hub.deploy(name, version)
    answer = hub.predict(name, IRIS)
    np.testing.assert_array_equal(answer.labels, iris.predict(IRIS))
    np.testing.assert_allclose(answer.probabilities, iris.predict_proba(IRIS), atol=1e-5)
    assert (answer.model, answer.version, answer.classes) == (name, 1, ["0", "1", "2"])


def test_a_version_says_what_it_is_and_why_it_is_believed(hub: Hub, iris: Any, name: str) -> None:
    hub.publish(
        iris,
        name,
        sample=IRIS,
        lineage={"data": "iris"},
        evidence=[{"kind": "score", "metrics": {"accuracy": 0.9}}],
    )
    found = hub.show(name)
    assert (found.version, found.task, found.state) == (1, "classification", "active")
    assert found.signature.input("x").shape == (-1, 4)
    assert {entry["kind"] for entry in found.evidence} >= {"parity", "score"}
    assert found.lineage["data"] == "iris"
    assert "LogisticRegression" in found.lineage["source"]
    assert found.card.startswith(f"# {name}")
    assert {entry.path for entry in found.files} == {"forebay.json", "model.onnx", "sample.json"}


def test_what_the_hub_has_is_not_sent_again(hub: Hub, iris: Any, name: str) -> None:
    first, second = Said(), Said()
    hub.publish(iris, name, sample=IRIS, progress=first)
    version = hub.publish(iris, name, sample=IRIS, card="# Better words", progress=second)
    assert version.version == 2
    assert version.card == "# Better words"
    assert not [step for step in second.steps if "uploading" in step]


def test_a_converted_model_and_a_saved_folder_are_published_as_they_are(
    hub: Hub, iris: Any, name: str, tmp_path: Path
) -> None:
    converted = forebay.convert(iris, IRIS)
    converted.save(tmp_path)
    assert str(hub.publish(converted, name)) == f"{name}:1"
    assert str(hub.publish(tmp_path, name)) == f"{name}:2"
    assert hub.show(name, 1).digest == hub.show(name, 2).digest


def test_a_model_that_was_trained_in_the_notebook_brings_its_card_and_scores(hub: Hub, name: str) -> None:
    trained = forebay.train(IRIS, SPECIES, estimator="logistic-regression", name=name)
    version = hub.publish(trained, name)
    assert version.card == trained.card
    assert "score" in {entry["kind"] for entry in version.evidence}


def test_the_hub_trains_on_a_table_with_texts_and_gaps(hub: Hub, name: str, tmp_path: Path) -> None:
    rooms = [1.0, 2.0, None, 4.0, 5.0] * 12
    towns = ["Ulm", "Bonn", "Ulm", None, "Bonn"] * 12
    prices = [100.0 * (r or 2.5) + (50 if t == "Bonn" else 0) for r, t in zip(rooms, towns, strict=True)]
    pl.DataFrame({"rooms": rooms, "town": towns, "price": prices}).write_csv(tmp_path / "flats.csv")
    said = Said()
    version = hub.train(
        tmp_path / "flats.csv", "price", name=name, task="regression", estimator="ridge", progress=said
    )
    hub.deploy(name, version)
    records = [{"rooms": 3, "town": "Bonn"}, {"rooms": None, "town": None}]
    values = hub.predict(name, records).values
    assert values.shape == (2,)
    assert abs(values[0] - 350) < 60
    assert version.task == "regression"
    assert hub.report(name).startswith(b"<!doctype html>")
    assert len(said.steps) > 2
    np.testing.assert_array_equal(hub.predict(name, pl.DataFrame(records)).values, values)


def test_what_a_running_job_has_said_is_read_without_waiting_for_its_end(hub: Hub, name: str) -> None:
    seen: list[tuple[str, bool]] = []

    class Looks(NoProgress):
        def step(self, text: str) -> None:
            if text == "prepare":
                job = next(job for job in hub.jobs() if job.request.get("name") == name)
                told = hub.jobs.said(job.id)
                seen.append((told[-1].data.get("text", ""), hub.jobs.get(job.id).ended))

    hub.train(IRIS, SPECIES, name=name, estimator="logistic-regression", progress=Looks())
    assert [ended for _, ended in seen] == [False]


def test_a_training_that_cannot_work_says_why(hub: Hub, name: str) -> None:
    with pytest.raises(JobFailed, match=r"price.*forebay jobs log"):
        hub.train(pl.DataFrame({"a": [1, 2], "b": [1, 2]}), "price", name=name)


def test_a_number_is_predicted_for_any_number_of_rows(hub: Hub, name: str) -> None:
    line = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    hub.deploy(name, hub.publish(line, name, sample=np.linspace(0, 1, 20).reshape(-1, 1)))
    many = np.linspace(0, 1, 2500).reshape(-1, 1)
    np.testing.assert_allclose(hub.predict(name, many).values, 1 + 2 * many[:, 0], atol=1e-5)
    np.testing.assert_allclose(hub.predict(name, [0.5]).values, [2.0], atol=1e-5)


def test_an_alias_moves_and_what_is_deployed_by_it_follows(hub: Hub, iris: Any, name: str) -> None:
    other = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(IRIS, SPECIES)
    hub.publish(iris, name, sample=IRIS)
    hub.publish(other, name, sample=IRIS)
    assert hub.alias(name, "champion", 1) == 1
    assert [(each.name, each.version) for each in hub.aliases(name)] == [("champion", 1)]
    hub.deploy(f"{name}@champion")
    assert hub.predict(name, IRIS[:1]).version == 1
    hub.alias(name, "champion", 2)
    until(lambda: hub.predict(name, IRIS[:1]).version == 2)


def test_traffic_is_shared_by_weight_and_each_version_can_be_asked(hub: Hub, iris: Any, name: str) -> None:
    for _ in range(2):
        hub.publish(iris, name, sample=IRIS)
    hub.deploy(name, weights={1: 3, 2: 1})
    answered = [hub.predict(name, IRIS[:1]).version for _ in range(8)]
    assert sorted(answered) == [1] * 6 + [2] * 2
    assert hub.predict(f"{name}:2", IRIS[:1]).version == 2


def test_a_version_that_is_deployed_is_not_retired(hub: Hub, iris: Any, name: str) -> None:
    hub.deploy(name, hub.publish(iris, name, sample=IRIS))
    with pytest.raises(Conflict, match="deploy"):
        hub.retire(f"{name}:1")
    hub.undeploy(name)
    hub.retire(f"{name}:1")
    assert hub.versions(name)[0].state == "retired"
    with pytest.raises(Malformed, match="which version"):
        hub.retire(name)


def test_the_second_of_two_who_saw_the_same_deployment_is_told(hub: Hub, iris: Any, name: str) -> None:
    hub.publish(iris, name, sample=IRIS)
    seen = hub.deploy(name)
    hub.deploy(name, batch_rows=8, revision=seen.revision)
    with pytest.raises(Conflict):
        hub.deploy(name, batch_rows=16, revision=seen.revision)


def test_a_deployment_that_changes_nothing_is_ready_at_once(hub: Hub, iris: Any, name: str) -> None:
    hub.deploy(name, hub.publish(iris, name, sample=IRIS))
    began_s = time.monotonic()
    for _ in range(5):
        hub.deploy(name, 1)
    assert time.monotonic() - began_s < 5.0  # a node reports by itself only every two seconds


def test_a_key_opens_what_it_was_made_for_until_it_is_revoked(hub: Hub, iris: Any, name: str) -> None:
    hub.deploy(name, hub.publish(iris, name, sample=IRIS))
    key = hub.keys.create("shop", models=[name])
    assert key.secret not in repr(key) + key._repr_html_()
    with forebay.connect(hub.url, key.secret) as shop:
        until(lambda: _answers(shop, name), what="the node heard of the key")
        with pytest.raises(Forbidden):
            shop.models()
        with pytest.raises(Forbidden):
            shop.predict(f"{name}-other", IRIS[:1])
        hub.keys.revoke(key.id)
        revoked_s = time.monotonic()
        until(lambda: not _answers(shop, name))
        assert time.monotonic() - revoked_s < 1.0
    alive = hub.keys()
    assert key.id not in [each.id for each in alive]


def _answers(shop: Hub, name: str) -> bool:
    try:
        shop.predict(name, IRIS[:1])
    except Unauthenticated:
        return False
    return True


def test_each_prediction_is_in_the_bill(hub: Hub, iris: Any, name: str) -> None:
    hub.deploy(name, hub.publish(iris, name, sample=IRIS))
    for _ in range(3):
        hub.predict(name, IRIS[:5])

    def billed() -> bool:
        found = {row.group: row for row in hub.usage("model", since="2020-01-01T00:00:00Z").items}
        return name in found and (found[name].requests, found[name].rows) == (3, 15)

    until(billed)
    assert hub.usage().plan == "default"
    assert [plan.currency for plan in hub.plans()] == [hub.usage().currency]


def test_a_wrong_row_is_refused_in_words(hub: Hub, iris: Any, name: str) -> None:
    hub.deploy(name, hub.publish(iris, name, sample=IRIS))
    with pytest.raises(Malformed, match="4"):
        hub.predict(name, [[1.0, 2.0]])
    with pytest.raises(NotFound):
        hub.predict(f"{name}-other", IRIS[:1])
    with pytest.raises(NotFound):
        hub.show(f"{name}:7")
    with pytest.raises(NotFound):
        hub.deploy(f"{name}:7")


def test_the_line_to_paste_works(hub: Hub, iris: Any, name: str, shared_forebay: Instance) -> None:
    hub.deploy(name, hub.publish(iris, name, sample=IRIS))
    line = hub.curl(name, hub.sample(name))
    done = subprocess.run(
        ["bash", "-c", line.replace("curl ", "curl -sS --fail ", 1)],
        env=shared_forebay.environ | {"FOREBAY_KEY": shared_forebay.admin_key},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"label"' in done.stdout


def test_jobs_are_seen_with_their_logs_and_their_ends(hub: Hub, iris: Any, name: str) -> None:
    hub.publish(iris, name, sample=IRIS)
    job = next(job for job in hub.jobs() if (job.result or {}).get("model") == name)
    assert (job.kind, job.state, job.ended) == ("publish", "succeeded", True)
    assert hub.jobs.get(job.id) == job
    assert hub.jobs.wait(job.id) == job
    assert isinstance(hub.jobs.log(job.id), str)
    events = list(hub.jobs.events(job.id))
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    assert hub.jobs.said(job.id) == events


def test_a_project_is_a_world_of_its_own(hub: Hub, iris: Any, name: str, shared_forebay: Instance) -> None:
    hub.publish(iris, name, sample=IRIS)
    hub.projects.create(name)
    assert name in [project.name for project in hub.projects()]
    with forebay.connect(hub.url, shared_forebay.admin_key, name) as other:
        assert other.models() == []
        with pytest.raises(Malformed, match="forebay keys create --project"):
            other.predict(name, IRIS[:1])
        key = other.keys.create(role="developer")
    with forebay.connect(hub.url, key.secret) as theirs:
        assert theirs.project == name
        assert [project.name for project in theirs.projects()] == [name]


def test_a_wrong_key_is_refused_when_connecting(hub: Hub) -> None:
    with pytest.raises(Unauthenticated, match="unknown, expired or revoked"):
        forebay.connect(hub.url, "fb-00000000-wrong")


def test_what_comes_back_is_shown_as_tables_in_a_notebook(hub: Hub, iris: Any, name: str) -> None:
    version = hub.publish(iris, name, sample=IRIS)
    assert "<table>" in version._repr_html_()
    assert "<table>" in hub.models()._repr_html_()
    assert "<table>" in hub.nodes()._repr_html_()
    assert repr(hub) == f"<Forebay hub at {hub.url}, project default>"
