"""What a model keeps, from a notebook: a real hub and a real node, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import forebay
from forebay.client import Hub
from forebay.client.results import Version
from forebay.core import ArtifactInfo, Manifest
from forebay.core.errors import Conflict, Forbidden, Malformed, NotFound
from forebay.serving.runtime.fingerprint import machine_kind
from forebay.workshop.compress import Rows, inputs_of, truth_of
from support.evidence import evidence
from support.instance import Instance

pytestmark = pytest.mark.slow

IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.fixture
def hub(shared_forebay: Instance) -> Iterator[Hub]:
    with forebay.connect(shared_forebay.hub_url, shared_forebay.admin_key) as found:
        yield found


@pytest.fixture
def developer(shared_forebay: Instance, hub: Hub) -> Iterator[Hub]:
    with forebay.connect(shared_forebay.hub_url, hub.keys.create(role="developer").secret) as found:
        yield found


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model's name that no other test has."""
    return f"m{abs(hash(request.node.nodeid)) % 10**9}"


def fitted(c: float) -> Any:
    return LogisticRegression(C=c, max_iter=500).fit(IRIS, SPECIES)


@pytest.fixture
def original(hub: Hub, name: str) -> Version:
    return hub.publish(fitted(1), name, sample=IRIS)


def test_a_node_tells_the_hub_what_kind_of_machine_it_is(hub: Hub) -> None:
    kind = machine_kind()
    for node in hub.nodes():
        assert node.machine is not None
        assert node.machine["architecture"] == kind.architecture
        assert tuple(node.machine["features"]) == kind.features
        assert node.machine["packages"] == kind.packages


def test_a_promise_is_kept_from_a_notebook_too(developer: Hub, hub: Hub, original: Version) -> None:
    name = original.model
    with pytest.raises(NotFound, match="keeps nothing yet"):
        hub.keeps(name)
    kept = developer.keeps.set(name, "accuracy>=-0.5")
    assert (kept.promises, kept.of, hub.keeps(name)) == (["accuracy>=-0.5"], 1, kept)
    assert developer.alias(name, "champion", 1, protected=True) == 1
    second = hub.publish(fitted(2), name, sample=IRIS)
    with pytest.raises(Conflict, match="it has no evidence"):
        developer.alias(name, "champion", second)
    with pytest.raises(Conflict, match="it has no evidence"):
        developer.deploy(name, second)
    with pytest.raises(Forbidden, match="may not override"):
        developer.deploy(name, second, override="for the fair")
    deployment = hub.deploy(name, second, override="for the fair")
    assert deployment.notes[0].startswith("version 2 goes on answering without proof")
    [entry] = [entry for entry in hub.audit() if entry.subject == str(second)]
    assert (entry.action, entry.detail["reason"]) == ("gate.overridden", "for the fair")
    assert entry in hub.audit(everywhere=True)
    with pytest.raises(Conflict, match="is protected"):
        developer.unalias(name, "champion")
    hub.unalias(name, "champion", override="nobody follows it")
    hub.keeps.clear(name, "it was an exercise")
    with pytest.raises(NotFound):
        hub.keeps(name)


def test_the_rows_to_prove_it_on_may_be_given_as_a_file(hub: Hub, original: Version, tmp_path: Path) -> None:
    columns = {f"x{place}": IRIS[:, place] for place in range(4)}
    columns |= {"species": SPECIES, "garden": np.where(SPECIES % 2, "north", "south")}
    pl.DataFrame(columns).write_parquet(tmp_path / "eval.parquet")
    keep = "accuracy>=-0.5, accuracy[garden=north]>=-1"
    with pytest.raises(Malformed, match="which column of the data has the right answers"):
        hub.keeps.set(original.model, keep, data=tmp_path / "eval.parquet")
    with pytest.raises(Malformed, match="no column 'specie'"):
        hub.keeps.set(original.model, keep, data=tmp_path / "eval.parquet", target="specie")
    with pytest.raises(Malformed, match="are about a table"):
        hub.keeps.set(original.model, keep, target="species")
    kept = hub.keeps.set(original.model, keep, data=tmp_path / "eval.parquet", target="species")
    info = ArtifactInfo.decode(hub.file(original.model, "forebay.json"))
    slices = {"garden": np.asarray(columns["garden"])}
    rows = Rows(inputs_of(info, IRIS), truth_of(info, SPECIES), slices)
    assert (kept.data, kept.of) == (rows.digest, 1)


def test_evidence_that_comes_along_with_an_artifact_opens_no_gate(
    hub: Hub, original: Version, tmp_path: Path
) -> None:
    name = original.model
    forebay.convert(fitted(2), IRIS).save(tmp_path / "second")
    digest = Manifest.of_folder(tmp_path / "second").digest
    kind = machine_kind()
    machine = {"architecture": kind.architecture, "features": kind.features, "packages": kind.packages}
    praise = evidence(digest=digest, source=original.digest, machine=machine)
    hub.keeps.set(name, "accuracy>=-0.5")
    second = hub.publish(tmp_path / "second", name, evidence=[praise])
    assert second.digest == digest
    with pytest.raises(Conflict, match=r"came along when it was published .* compress it here"):
        hub.deploy(name, second)
