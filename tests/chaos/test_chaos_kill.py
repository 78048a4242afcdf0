"""kill -9, at any moment, under load: nothing that was answered is lost, nothing is counted twice."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

import forebay
from forebay.client import Hub
from support.instance import Instance, until
from support.tiny_models import scaler, write_artifact

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

CALLERS = 8
KILLS = 4  # more of them, and the supervisor takes its time, as it should with one that keeps dying
ROW = [[1.0, 2.0, 3.0]]


@dataclass
class Load:
    """Callers that ask again and again, and what became of each request."""

    instance: Instance
    secret: str
    answered: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, answers: int, pause_s: float = 0.0) -> None:
        """Until all callers together have *answers*; a request that fails is not repeated."""
        share = answers // CALLERS
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda caller: self._caller(caller, share, pause_s), range(CALLERS)))

    def _caller(self, caller: int, answers: int, pause_s: float) -> None:
        with httpx.Client(timeout=20, trust_env=False) as client:
            for i in itertools.count():
                if self.stop.is_set() or answers == 0:
                    return
                answers -= self._once(client, f"{caller}-{i}")
                time.sleep(pause_s)

    def _once(self, client: httpx.Client, name: str) -> bool:
        """Ask once; True if it was answered."""
        headers = {"authorization": f"Bearer {self.secret}", "x-request-id": name}
        try:
            answer = client.post(f"{self.instance.node_url}/predict/model", json=ROW, headers=headers)
        except httpx.TransportError:
            self.unanswered.add(name)
            time.sleep(0.02)
            return False
        if answer.status_code != 200:
            self.refused.append(f"{answer.status_code} {answer.text}")
            return False
        self.answered.add(name)
        return True


@contextmanager
def deployed(instance: Instance, tmp_path: Path, versions: int = 1) -> Iterator[tuple[Hub, Load]]:
    """A hub with the model `model`, of which version 1 answers, and callers with a key."""
    with forebay.connect(instance.hub_url, instance.admin_key) as hub:
        for number in range(versions):
            hub.publish(write_artifact(tmp_path / f"v{number}", scaler(number + 1)), name="model")
        hub.deploy("model", 1)
        yield hub, Load(instance, hub.keys.create(role="inference").secret)


def ledger(hub: Hub) -> Counter[str]:
    """How often each request stands in the ledger."""
    found: Counter[str] = Counter()
    after = 0
    with httpx.Client(base_url=hub.url, headers={"authorization": f"Bearer {hub._place.key}"}) as client:
        while True:
            page = client.get(f"/api/v1/projects/{hub.project}/usage/events", params={"after": after}).json()
            if not page["items"]:
                return found
            found.update(event["request_id"] for event in page["items"])
            after = page["after"]


def settled(hub: Hub, load: Load) -> bool:
    """Whether every answered request has reached the ledger and no node has more to ship."""
    try:
        behind = sum(node.journal_behind for node in hub.nodes())
        return behind == 0 and load.answered <= set(ledger(hub))
    except forebay.ForebayError:
        return False


@pytest.mark.parametrize("victim", ["node", "hub"])
def test_every_answer_is_in_the_ledger_once_whoever_is_killed(
    forebay_up_on: Instance, tmp_path: Path, victim: str
) -> None:
    instance, kills = forebay_up_on, 0
    with deployed(instance, tmp_path) as (hub, load):
        work = threading.Thread(target=load.ask, args=(2000, 0.03))
        work.start()
        moments = random.Random(7)  # noqa: S311 (dice, no secrets)
        while work.is_alive() and kills < KILLS:
            time.sleep(moments.uniform(0.2, 0.9))
            before = instance.pid(victim)
            if before and work.is_alive():
                instance.kill(victim)
                kills += 1
                until(lambda: instance.restarted(victim, before), what=f"a new {victim}")  # noqa: B023
        work.join()
        assert kills >= 2, "nothing was killed under load"
        until(lambda: settled(hub, load), 60, "the ledger to be complete")
        counted = ledger(hub)
    twice = [name for name, count in counted.items() if count > 1]
    assert not twice, f"counted more than once: {twice[:5]}"
    assert load.answered <= set(counted)
    beyond = set(counted) - load.answered
    assert beyond <= load.unanswered, "the ledger has requests that nobody made, or that were refused"
    assert len(beyond) <= kills * CALLERS, "more than what was in flight at the kills"
    if victim == "hub":
        assert not load.unanswered, "a node needs no hub to answer"
        assert not load.refused, load.refused[:3]
    assert len(load.answered) == 2000


def test_a_hundred_deploys_in_a_row_fail_no_request(forebay_up_on: Instance, tmp_path: Path) -> None:
    with deployed(forebay_up_on, tmp_path, versions=2) as (hub, load):
        work = threading.Thread(target=load.ask, args=(10**9, 0.0))
        work.start()
        try:
            for number in range(100):
                hub.deploy("model", number % 2 + 1, wait=False)
            time.sleep(1.0)
        finally:
            load.stop.set()
            work.join()
        assert not load.unanswered
        assert not load.refused, load.refused[:3]
        assert len(load.answered) > 300
