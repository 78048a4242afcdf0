"""Everything that may be published, from memory and from disk, asked over a node like its source.

The rows are those of `docs/publishing.md`, `docs/networks.md` and `docs/files-and-code.md`; a source without
a row here fails the first test.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import forebay
from forebay.client import Hub
from forebay.client.results import Version
from forebay.core import Array, DataType, Tensors
from forebay.workshop.convert.sources import SOURCES
from support.instance import Instance
from support.published_rows import ROWS, Offer
from support.shell import Shell

pytestmark = [
    pytest.mark.timeout(600),
]
CONVERT = Path(__file__).parents[2] / "workshop/convert"
NETWORKS = "test_convert_published_networks.py"
IN_TESTS_OF_THEIR_OWN = {
    "Keras": (NETWORKS, '"keras-file"'),
    "TensorFlow SavedModel": (NETWORKS, '"saved-model"'),
    "PyTorch": (NETWORKS, '"torch-program"'),
    "Hugging Face transformers": (NETWORKS, '"transformers"'),
}
"""Sources whose models are asked over a node elsewhere: the file, and what stands in it."""
WITHIN = {"skops files": "scikit-learn"}
"""Sources whose models are the files of another row."""


def test_no_source_is_without_a_row() -> None:
    asked = set(ROWS) | set(IN_TESTS_OF_THEIR_OWN)
    assert {WITHIN.get(source.name, source.name) for source in SOURCES} <= asked
    for file, named in IN_TESTS_OF_THEIR_OWN.values():
        assert named in (CONVERT / file).read_text()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One hub, and one node that may run code."""
    instance = Instance(tmp_path_factory.mktemp("publishing") / "home", allow_code="true")
    instance.up()
    yield instance
    instance.down()


@pytest.fixture
def hub(running: Instance) -> Iterator[Hub]:
    with forebay.connect(running.hub_url, running.admin_key) as found:
        yield found


def _row(name: str) -> Any:
    """Spark needs Java, and keeps sockets to it."""
    if name != "Spark MLlib":
        return name
    needs_java = pytest.mark.skipif(
        shutil.which("java") is None, reason="Spark needs Java: scripts/install-services"
    )
    return pytest.param(name, marks=[needs_java, pytest.mark.filterwarnings("ignore::ResourceWarning")])


@pytest.mark.slow
@pytest.mark.parametrize("row", [_row(name) for name in ROWS])
def test_it_is_published_and_answers_like_its_source(
    row: str, running: Instance, hub: Hub, tmp_path: Path
) -> None:
    offer = ROWS[row](tmp_path)
    name = "".join(letter for letter in row.lower() if letter.isalnum())
    for version in versions_of(offer, name, running, hub):
        assert version.evidence
        hub.deploy(name, version)
        got = over_http(running, version, offer.inputs)
        compare(got, offer.expected, version)


def versions_of(offer: Offer, name: str, running: Instance, hub: Hub) -> Iterator[Version]:
    """Each of what is offered, published by the line that a person would type."""
    for model in offer.memory:
        yield hub.publish(model, name, **offer.how)
    shell = Shell.on(running)
    for path, words in offer.files.items():
        told = shell.json("publish", str(path), "--name", name, *words)
        yield hub.show(name, told["version"])


def compare(got: Tensors, expected: Tensors, version: Version) -> None:
    for output, values in expected.items():
        answer = got[output or next(iter(got))]
        if values.dtype.kind == "f":
            np.testing.assert_allclose(answer.reshape(values.shape), values, rtol=1e-4, atol=1e-5)
        else:
            assert answer.ravel().tolist() == values.ravel().tolist()
        if output == "probabilities":
            columns = version.signature.output(output).columns
            assert columns is not None
            assert [str(label) for label in got["label"].ravel()] == [
                columns[best] for best in values.argmax(1)
            ]


def over_http(running: Instance, version: Version, inputs: Mapping[str, Array]) -> dict[str, Any]:
    """The answer of the Open Inference Protocol, as anybody's client gets it."""
    answer = httpx.post(
        f"{running.node_url}/v2/models/{version.model}/versions/{version.version}/infer",
        json={"inputs": [tensor(spec.name, spec.datatype, inputs) for spec in version.signature.inputs]},
        headers={"authorization": f"Bearer {running.admin_key}"},
        trust_env=False,
        timeout=60.0,
    )
    assert answer.status_code == 200, answer.text
    return {
        output["name"]: np.array(output["data"]).reshape(output["shape"])
        for output in answer.json()["outputs"]
    }


def tensor(name: str, datatype: DataType, inputs: Mapping[str, Array]) -> dict[str, Any]:
    values = inputs[name].astype(datatype.dtype)
    return {"name": name, "shape": list(values.shape), "datatype": datatype, "data": values.ravel().tolist()}
