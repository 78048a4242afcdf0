"""What a notebook sees when the other end has a bad day."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import forebay
from forebay.client import Hub, NoProgress
from forebay.client.results import Version
from forebay.core.errors import Broken, NotReady
from support.instance import Instance, until

pytestmark = pytest.mark.slow

IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.fixture
def hub(forebay_up: Instance) -> Iterator[Hub]:
    with forebay.connect(forebay_up.hub_url, forebay_up.admin_key) as found:
        yield found


def publish(hub: Hub) -> Version:
    return hub.publish(LogisticRegression(max_iter=500).fit(IRIS, SPECIES), "iris", sample=IRIS)


def test_a_deploy_that_a_node_cannot_load_says_which_node_and_why(hub: Hub, forebay_up: Instance) -> None:
    version = publish(hub)
    model = next(entry.sha256 for entry in version.files if entry.path == "model.onnx")
    [blob] = (forebay_up.home / "blobs").rglob(model)
    blob.chmod(0o600)
    blob.write_bytes(b"x" * blob.stat().st_size)
    with pytest.raises(Broken, match=r"node .* cannot load iris:1: .+; the deployment of iris stays"):
        hub.deploy("iris")


def test_a_deploy_that_a_node_does_not_hear_of_names_it(hub: Hub, forebay_up: Instance) -> None:
    publish(hub)
    forebay_up.kill("node", signal.SIGSTOP)
    try:
        with pytest.raises(NotReady, match=r"iris is not ready after 1 s: node \S+"):
            hub.deploy("iris", timeout_s=1)
    finally:
        forebay_up.kill("node", signal.SIGCONT)
    assert hub.deploy("iris").ready


def test_a_node_that_is_started_again_is_waited_for(hub: Hub, forebay_up: Instance) -> None:
    publish(hub)
    hub.deploy("iris")
    before = forebay_up.pid("node")
    forebay_up.kill("node")
    until(lambda: forebay_up.pid("node") != before)
    assert hub.predict("iris", IRIS[:1]).labels.tolist() == [0]


def test_a_training_goes_on_when_the_hub_is_killed_while_it_is_waited_for(
    hub: Hub, forebay_up: Instance
) -> None:
    before = forebay_up.pid("hub")

    class KillsOnce(NoProgress):
        def __init__(self) -> None:
            self.killed = False

        def step(self, text: str) -> None:
            if "fold" in text and not self.killed:
                self.killed = True
                forebay_up.kill("hub")

    killer = KillsOnce()
    version = hub.train(IRIS, SPECIES, name="iris", progress=killer)
    assert killer.killed
    assert forebay_up.restarted("hub", before)
    assert [entry.version for entry in hub.versions("iris")] == [version.version] == [1]
    assert [job.state for job in hub.jobs()] == ["succeeded"]


def test_a_deploy_outlives_a_hub_that_is_started_again(hub: Hub, forebay_up: Instance) -> None:
    publish(hub)
    forebay_up.kill("node", signal.SIGSTOP)  # so that there is something to wait for
    done: list[Any] = []
    waiting = threading.Thread(target=lambda: done.append(hub.deploy("iris", timeout_s=60)))
    waiting.start()
    until(lambda: bool(hub.deployments()))
    forebay_up.kill("hub")
    forebay_up.kill("node", signal.SIGCONT)
    waiting.join(90)
    assert [found.ready for found in done] == [True]
