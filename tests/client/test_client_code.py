"""A person's Python from the notebook to an answer, where the node may run it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import forebay
from forebay.client import Hub
from forebay.core import Array
from forebay.core.errors import Forbidden
from support.instance import Instance

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def index(height: Array, weight: Array) -> Array:
    return np.asarray(weight / height**2)


PEOPLE = {"height": np.array([1.70, 1.85]), "weight": np.array([61.0, 80.0])}


@pytest.fixture(scope="module")
def liberal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A whole Forebay whose node runs code."""
    instance = Instance(tmp_path_factory.mktemp("liberal"), allow_code="true")
    instance.up()
    yield instance
    instance.down()


@pytest.fixture
def hub(liberal: Instance) -> Iterator[Hub]:
    with forebay.connect(liberal.hub_url, liberal.admin_key) as found:
        yield found


def test_a_function_is_published_deployed_and_asked(hub: Hub) -> None:
    version = hub.publish(index, "index", sample=PEOPLE)
    assert version.code
    assert "Serving it runs Python of its owner's" in version.card
    hub.deploy("index", version)
    answer = hub.predict("index", [{"height": 2.0, "weight": 100.0}])
    assert answer.values.tolist() == [25.0]


def test_a_folder_is_published_from_a_shell_and_marked_as_code(liberal: Instance, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "scoring.py").write_text("def double(x):\n    return x * 2\n")
    (tmp_path / "rows.csv").write_text("x\n1.5\n2.5\n")
    published = liberal.json(
        "publish", str(tmp_path / "mine"), "--entry", "scoring:double", "--name", "double",
        "--sample", str(tmp_path / "rows.csv"), "--requirement", "orjson",
    )  # fmt: skip
    assert published["code"] is True
    assert any(line.startswith("orjson==") for line in published["evidence"][0]["requirements"])
    liberal.run("deploy", "double")
    assert liberal.json("predict", "double")["outputs"]


def test_a_developers_key_may_not_publish_code(hub: Hub, liberal: Instance) -> None:
    key = hub.keys.create("ada", role="developer")
    with (
        forebay.connect(liberal.hub_url, key.secret) as developer,
        pytest.raises(Forbidden, match="role coder"),
    ):
        developer.publish(index, "index", sample=PEOPLE)
