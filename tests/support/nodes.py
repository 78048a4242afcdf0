"""Real nodes for the tests, serving from a prepared folder while their hub is away."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import msgspec
import uvloop

from forebay.core import (
    Bounds,
    Deployment,
    Key,
    KeyGrant,
    Limits,
    Manifest,
    Permission,
    Signature,
    Snapshot,
    Target,
    new_key,
)
from forebay.serving.node import NodeConfig
from forebay.serving.node.feed import write_snapshot
from forebay.serving.node.service import Node
from support.tiny_models import TWICE, write_artifact

CALLER = frozenset({Permission.PREDICT})
WATCHER = frozenset({Permission.OBSERVE})


@dataclass
class Prepared:
    """A node's folder, and what its last snapshot says."""

    folder: Path
    keys: list[KeyGrant] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    number: int = 1

    def key(self, permissions: frozenset[Permission] = CALLER, bounds: Bounds | None = None) -> Key:
        """A key that this node knows."""
        key = new_key()
        self.keys.append(KeyGrant(key.digest, key.id, "default", permissions, bounds))
        return key

    def artifact(self, model: bytes, signature: Signature = TWICE) -> str:
        """Put an artifact where the node keeps them; returns its digest."""
        return self.keep(write_artifact(self.folder / "artifacts" / ".new", model, signature))

    def keep(self, new: Path) -> str:
        """Move an artifact's folder to where the node keeps them; returns its digest."""
        digest = Manifest.of_folder(new).digest
        (self.folder / "artifacts").mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / "artifacts" / digest, ignore_errors=True)
        new.rename(self.folder / "artifacts" / digest)
        return digest

    def deploy(
        self,
        name: str,
        digests: Sequence[str],
        limits: Limits | None = None,
        first: int = 1,
        *,
        pin: bool = False,
    ) -> None:
        """*name* answers with the versions *first*, *first* + 1, … in turn."""
        targets = tuple(Target(i + first, digest) for i, digest in enumerate(digests))
        self.deployments = [each for each in self.deployments if each.model != name]
        self.deployments.append(Deployment("default", name, targets, limits or Limits(), pin))

    def alias(self, name: str, **aliases: int) -> None:
        """The deployment *name* answers to exactly *aliases*."""
        self.deployments = [
            msgspec.structs.replace(each, aliases=aliases) if each.model == name else each
            for each in self.deployments
        ]

    def snapshot(self) -> Snapshot:
        """What the hub would say."""
        self.number += 1
        return Snapshot("test", self.number, tuple(self.keys), tuple(self.deployments))

    def config(self, **changed: object) -> NodeConfig:
        """For a node on this folder whose hub is away."""
        config = NodeConfig(
            folder=self.folder,
            hub_url="http://127.0.0.1:9",
            key="none",
            name="test",
            port=0,
            grpc_port=0,
            drain_s=2.0,
        )
        return replace(config, **changed)  # type: ignore[arg-type]  # the test names real fields


class Running:
    """A node on a loop and a thread of its own."""

    def __init__(self, prepared: Prepared, config: NodeConfig) -> None:
        self.prepared = prepared
        self._config = config
        self._started = threading.Event()
        self._leave: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self.node: Node
        self.port = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        self._started.wait(20)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Let it finish; harmless when it has."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the node did not stop"

    def client(self, key: Key | None = None, timeout_s: float = 10.0) -> httpx.Client:
        """An HTTP client that shows *key*."""
        headers = {} if key is None else {"authorization": f"Bearer {key.secret}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)

    def socket(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def apply(self, snapshot: Snapshot) -> None:
        """As if the hub had said *snapshot*."""
        done = threading.Event()

        def work() -> None:
            self.node.feed.current = snapshot
            self.node._apply(snapshot)
            done.set()

        self._loop.call_soon_threadsafe(work)
        assert done.wait(5)

    def wait_ready(self) -> None:
        """Until every deployment answers (or has failed)."""
        with self.client() as client:
            for _ in range(200):
                if client.get("/v2/health/ready").status_code == 200:
                    return
                threading.Event().wait(0.02)
        raise AssertionError(f"never ready: {self.node.versions.states()}")

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # the test's own thread raises it again
            self._failure = error
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        self.node = Node(self._config)
        try:
            self.port = await self.node.start()
            self._started.set()
            await self._leave.wait()
        finally:
            await self.node.stop()


@contextmanager
def running(prepared: Prepared, **changed: object) -> Iterator[Running]:
    """A node that serves what *prepared* says, until the block ends."""
    prepared.folder.mkdir(parents=True, exist_ok=True)
    write_snapshot(prepared.folder / "snapshot-0.json", prepared.snapshot())
    node = Running(prepared, prepared.config(**changed))
    node.start()
    try:
        node.wait_ready()
        yield node
    finally:
        node.stop()
