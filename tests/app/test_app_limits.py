"""Limits over real processes: two nodes of two workers each, and a hub that hands out permits."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.instance import Instance, until
from support.tiny_models import scaler

ROWS = [[1.0, 2.0, 3.0]]
CLIENTS = 16

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Instance, Instance]]:
    """An instance with two workers and a deployed model, and another node with two workers."""
    folder = tmp_path_factory.mktemp("two")
    first, second = Instance(folder / "first", workers=2), Instance(folder / "second", workers=2)
    try:
        first.up()
        (folder / "model.onnx").write_bytes(scaler())
        first.run("publish", str(folder / "model.onnx"), "--name", "a")
        second.environ["FOREBAY_KEY"] = first.json("keys", "create", "edge", "--role", "node")["secret"]
        second.environ["FOREBAY_NODE_NAME"] = "edge"
        with subprocess.Popen(
            [sys.executable, "-m", "forebay", "node", "--hub", first.hub_url],
            env=second.environ, stdout=subprocess.PIPE, text=True,
        ) as supervisor:  # fmt: skip
            assert supervisor.stdout is not None
            assert supervisor.stdout.readline() == "Forebay is up.\n"
            first.run("deploy", "a")
            until(lambda: sum(node["ready"] for node in first.json("nodes")) == 4)
            yield first, second
            second.run("down")
    finally:
        first.down()


def asked(nodes: tuple[Instance, Instance], secret: str, seconds: float) -> Counter[int]:
    """What many clients of both nodes are told, each on connections of its own, for a while."""

    def ask(number: int) -> Counter[int]:
        said: Counter[int] = Counter()
        url = f"{nodes[number % 2].node_url}/predict/a"
        end_s = time.monotonic() + seconds
        with httpx.Client(headers={"authorization": f"Bearer {secret}"}, trust_env=False) as client:
            while time.monotonic() < end_s:
                said[client.post(url, json=ROWS, timeout=30).status_code] += 1
        return said

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(ask, range(CLIENTS)), Counter[int]())


def test_two_nodes_with_two_workers_answer_exactly_what_a_day_allows(
    two: tuple[Instance, Instance],
) -> None:
    first, _ = two
    secret = first.json("keys", "create", "shop")["secret"]
    limit = first.json("limits", "set", "request=300/day")["id"]
    said: Counter[bool] = Counter()
    until(lambda: all(heard(node, secret, said) for node in two))
    said_later = asked(two, secret, 6.0)
    first.run("limits", "remove", limit)
    assert set(said_later) == {200, 429}
    assert said[True] + said_later[200] == 300
    assert first.json("limits") == []


def heard(node: Instance, secret: str, said: Counter[bool]) -> bool:
    """Whether a worker of *node* has heard of the limit; counts the answer if it has."""
    answer = httpx.post(
        f"{node.node_url}/predict/a",
        json=ROWS,
        headers={"authorization": f"Bearer {secret}"},
        trust_env=False,
    )
    found = answer.is_success and "ratelimit-limit" in answer.headers
    said[found] += 1
    return found
