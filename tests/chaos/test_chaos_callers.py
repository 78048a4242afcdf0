"""Ten thousand callers, many of them rude, and a backend that is killed every second."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from forebay.core import Key
from forebay.serving.node.feed import write_snapshot
from support.code_models import write_code
from support.instance import until
from support.nodes import Prepared
from support.processes import children_of, free_port, open_files, resident_bytes, threads_of
from support.tiny_models import scaler

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(420)]

CALLERS = 10_000
WARM_UP = 5_000  # the allocator grows with the first crowd, and keeps what it has
AT_ONCE = 1_000
LASTS_S = 30.0
PATIENCE_S = 90.0
OWN_CODE = "def predict(x):\n    return 2 * x\n"
TRY_AGAIN = {429, 502, 503}


@dataclass
class Crowd:
    """Callers of one node, and what became of them."""

    port: int
    key: Key
    dice: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311 (dice, no secrets)
    became: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def come(self, count: int, within_s: float) -> None:
        """*count* callers arrive at random moments; ends when the last of them has gone."""
        room = asyncio.Semaphore(AT_ONCE)
        moments = sorted(self.dice.uniform(0, within_s) for _ in range(count))
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number, moment_s in enumerate(moments):
                await asyncio.sleep(max(0.0, began_s + moment_s - time.monotonic()))
                await room.acquire()
                task = tasks.create_task(self._kind()(number))
                task.add_done_callback(lambda _: room.release())

    def _kind(self) -> Callable[[int], Coroutine[None, None, None]]:
        """A third hang up, a fifth send rubbish, the others are patient."""
        lot = self.dice.random()
        if lot < 1 / 3:
            return self._hangs_up
        return self._sends_rubbish if lot < 1 / 3 + 1 / 5 else self._is_patient

    async def _is_patient(self, number: int) -> None:
        """Ask, and again where the node says so, until the answer is there; it has to be right."""
        give_up_at = time.monotonic() + PATIENCE_S
        model = "own" if number % 2 else "twice"
        while True:
            status, headers, body = await self._once(self._request(model, number))
            if status == 200:
                break
            if status not in TRY_AGAIN or time.monotonic() > give_up_at:
                self.wrong.append(f"{model}: {status} {body[:200]!r}")
                return
            self.became[f"told {status}"] += 1
            await asyncio.sleep(float(headers.get("retry-after", "0.2")))
        if json.loads(body)["outputs"][0]["data"] != [2.0 * number, 2.0, 4.0]:
            self.wrong.append(f"{model} answered caller {number} with {body!r}")
        self.became["answered"] += 1

    async def _hangs_up(self, number: int) -> None:
        request = self._request("own" if number % 2 else "twice", number)
        sent = self.dice.randrange(len(request) + 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request[:sent])
        with suppress(ConnectionError):
            await writer.drain()
            await asyncio.sleep(self.dice.choice([0.0, 0.001, 0.05]))
        if self.dice.random() < 0.5:
            writer.transport.abort()
        writer.close()
        del reader
        self.became["hung up"] += 1

    async def _sends_rubbish(self, number: int) -> None:
        status, _, body = await self._once(self.dice.choice(self._rubbish(number)))
        if status and not 400 <= status < 500:
            self.wrong.append(f"rubbish was answered with {status} {body[:200]!r}")
        self.became["refused" if status else "cut off"] += 1

    def _rubbish(self, number: int) -> list[bytes]:
        good = self._request("twice", number)
        return [
            self.dice.randbytes(200),
            good.replace(b"[1, 3]", b"[9, 3]"),
            good.replace(b'"FP32"', b'"FP99"'),
            good.replace(b"Bearer", b"Bearer x"),
            good.replace(b"/twice/", b"/nobody/"),
            good.replace(b"1.0, 2.0", b"1.0, {{{"),
            good.replace(b"POST", b"POST POST"),
            good.replace(b"content-length: ", b"content-length: 9999999999"),
        ]

    def _request(self, model: str, number: int) -> bytes:
        tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [float(number), 1.0, 2.0]}
        body = json.dumps({"inputs": [tensor]}).encode()
        head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: node\r\nconnection: close\r\n"
        head += f"authorization: Bearer {self.key.secret}\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def _once(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; status 0 if the node closed the connection without a word."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1.1 "):
            return 0, {}, b""
        pairs = [line.split(": ", 1) for line in lines[1:]]
        return int(lines[0].split()[1]), {pair[0]: pair[1] for pair in pairs}, body


@contextmanager
def node_process(home: Path, port: int) -> Iterator[int]:
    """A node in a process of its own, whose hub is away; gives its process number."""
    environ = dict(os.environ) | {
        "FOREBAY_HOME": str(home), "FOREBAY_PORT": str(port), "FOREBAY_GRPC_PORT": "0",
        "FOREBAY_KEY": "none", "FOREBAY_URL": "http://127.0.0.1:9", "FOREBAY_ALLOW_CODE": "1",
    }  # fmt: skip
    with (home / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "forebay", "node"], env=environ, stdout=log, stderr=log
        )
    try:
        yield process.pid
        assert process.poll() is None, "the node has died"
    finally:
        process.terminate()
        process.wait(30)


async def _kill_every_second(node: int, kills: list[int], for_s: float) -> None:
    """kill -9 for whatever computes for *node* outside of it."""
    ends_s = time.monotonic() + for_s
    while time.monotonic() < ends_s:
        await asyncio.sleep(1.0)
        for child in children_of(node):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                kills.append(child)


def test_ten_thousand_callers_and_a_backend_that_keeps_dying(tmp_path: Path) -> None:
    prepared = Prepared(tmp_path / "node")
    key = prepared.key()
    prepared.deploy("twice", [prepared.artifact(scaler())])
    prepared.deploy("own", [prepared.keep(write_code(tmp_path / "own", OWN_CODE))])
    write_snapshot(prepared.folder / "snapshot-0.json", prepared.snapshot())
    kills: list[int] = []
    crowd = Crowd(free_port(), key)
    with node_process(tmp_path, crowd.port) as node:
        until(lambda: answers(crowd, "own") and answers(crowd, "twice"), what="a node that answers")
        quiet_files = open_files(node)
        asyncio.run(storm(crowd, node, kills, WARM_UP, 10.0))
        start = after = before = at_rest(crowd, node, quiet_files)
        for _ in range(3):  # a pool may grow to its bound in one storm; what leaks grows in each of them
            before = after
            asyncio.run(storm(crowd, node, kills, CALLERS, LASTS_S))
            after = at_rest(crowd, node, quiet_files)
            if after[1:] == before[1:]:
                break
        left = children_of(node)
    assert not crowd.wrong, crowd.wrong[:5]
    assert len(kills) >= 3, "hardly anything was killed"
    assert crowd.became["answered"] > CALLERS / 3
    assert after[1:] == before[1:], f"files and threads: {before[1:]} before, {after[1:]} after"
    assert after[0] <= 1.05 * start[0], f"resident memory: {start[0]} bytes before, {after[0]} after"
    assert len(left) == 1, "more processes than models"


async def storm(crowd: Crowd, node: int, kills: list[int], callers: int, within_s: float) -> None:
    """Killed every second while callers arrive; ends when each of them has gone."""
    await asyncio.gather(crowd.come(callers, within_s), _kill_every_second(node, kills, within_s))


def at_rest(crowd: Crowd, node: int, quiet_files: int) -> tuple[int, int, int]:
    """Resident bytes, open files and threads of *node* once everybody has gone and every model answers."""
    until(lambda: answers(crowd, "own"), 60, "the killed backend to be back")
    until(lambda: open_files(node) <= quiet_files, 30, "every connection to be closed")
    return resident_bytes(node), open_files(node), threads_of(node)


def answers(crowd: Crowd, model: str) -> bool:
    try:
        status, _, _ = asyncio.run(crowd._once(crowd._request(model, 1)))
    except OSError:
        return False
    return status == 200
