"""Fifty models in the memory of ten, over real HTTP."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

from forebay.core import Key
from support.nodes import WATCHER, Prepared
from support.tiny_models import heavy, heavy_answer

ROOT = Path(__file__).parents[3]
MODELS = 50
ROOM_FOR = 10
MEGABYTES = 4.0
CALLERS = 6
CALLS = 60
CALM_S = 3.0
"""A node gives back what answers still held of a version a moment after the last one has left."""


class Child:
    """A node in a process of its own."""

    def __init__(self, prepared: Prepared, process: subprocess.Popen[str]) -> None:
        self.prepared = prepared
        self.process = process
        self.key, self.watcher = prepared.key(), prepared.key(WATCHER)
        self.port = int(self._said())

    def serve(self, names: list[str]) -> None:
        """These models, and no others."""
        everything = self.prepared.deployments
        self.prepared.deployments = [each for each in everything if each.model in names]
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(self.prepared.snapshot()).decode() + "\n")
        self.process.stdin.flush()
        self.prepared.deployments = everything
        assert self._said() == "ok"
        with self.client(self.key) as client:
            for name in names:
                while client.get(f"/v2/models/{name}").status_code == 503:
                    time.sleep(0.02)  # it is being fetched: nobody knows yet what it takes

    def client(self, key: Key) -> httpx.Client:
        headers = {"authorization": f"Bearer {key.secret}"}
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60, trust_env=False
        )

    def counted(self, name: str) -> float:
        with self.client(self.watcher) as client:
            page = client.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in page if line.startswith(f"{name} ")), 0.0)

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    def until_empty(self) -> None:
        for _ in range(1000):
            if self.counted("forebay_model_memory_bytes") == 0:
                return
            time.sleep(0.05)
        raise AssertionError("models stay in memory that nobody serves")

    def _said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def node_for(prepared: Prepared, budget_bytes: int) -> Iterator[Child]:
    process = subprocess.Popen(
        [sys.executable, "-m", "support.memory_node", str(prepared.folder), str(budget_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT / "tests",
    )
    try:
        yield Child(prepared, process)
    finally:
        process.communicate(timeout=60)
    assert process.returncode == 0


def name_of(seed: int) -> str:
    return f"model-{seed:02}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    made = Prepared(tmp_path_factory.mktemp("fifty") / "node")
    for seed in range(MODELS):
        made.deploy(name_of(seed), [made.artifact(heavy(seed, MEGABYTES))])
    return made


def footprint(prepared: Prepared) -> int:
    """What one of the models takes, as a node weighs it."""
    with node_for(prepared, 1 << 40) as node:
        node.serve([name_of(seed) for seed in range(5)])
        with node.client(node.key) as client:
            for seed in range(5):
                ask(client, seed)
        return int(node.counted("forebay_model_memory_bytes") / 5)


def ask(client: httpx.Client, seed: int) -> None:
    rows = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, seed]])
    answer = client.post(f"/predict/{name_of(seed)}", json=rows.tolist())
    assert answer.status_code == 200, answer.text
    said = np.array([row["y"] for row in answer.json()["rows"]])
    np.testing.assert_allclose(said, heavy_answer(seed, rows, MEGABYTES), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_models_in_the_memory_of_ten_fail_no_request_and_give_it_all_back(prepared: Prepared) -> None:
    budget_bytes = ROOM_FOR * footprint(prepared)
    with node_for(prepared, budget_bytes) as node, ThreadPoolExecutor(CALLERS) as pool:
        # a first round makes the node what it stays: the runtime loaded, threads and buffers at their largest
        traffic(node, pool)
        start_bytes = node.resident_bytes()

        most = traffic(node, pool)
        # one that proves larger than its files were is over the budget until the next one has made room
        assert most <= budget_bytes * (1 + 1 / ROOM_FOR), "more was loaded than may be"
        assert node.counted("forebay_model_evictions_total") > 2 * (MODELS - ROOM_FOR)
        assert node.counted("forebay_model_load_failures_total") == 0
        assert node.resident_bytes() <= 1.05 * start_bytes


def traffic(node: Child, pool: ThreadPoolExecutor) -> float:
    """All models at random, then none of them; the most that was loaded at any time that was looked."""
    node.serve([name_of(seed) for seed in range(MODELS)])
    most = list(pool.map(lambda caller: call_at_random(node, caller), range(CALLERS)))
    node.serve([])
    node.until_empty()
    time.sleep(CALM_S)
    return max(most)


def call_at_random(node: Child, caller: int) -> float:
    """Ask any of the models, again and again; the most that was loaded at any time that was looked."""
    dice, most = np.random.default_rng(caller), 0.0
    with node.client(node.key) as client:
        for call in range(CALLS):
            ask(client, int(dice.integers(MODELS)))
            if call % 10 == 0:
                most = max(most, node.counted("forebay_model_memory_bytes"))
    return most
