"""The wait for the next snapshot."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from forebay.control.access import Access
from forebay.control.billing import limits_for_nodes
from forebay.control.deploy import Deployments, Published, Watch, Wish
from forebay.control.registry import Registry
from forebay.control.store import Database, MemoryBlobs
from forebay.core.errors import NotReady


@asynccontextmanager
async def watching(
    deployments: Deployments, database: Database, every_s: float = 0.2
) -> AsyncIterator[Watch]:
    watch = Watch(deployments, database.changes, every_s)
    running = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def first(watch: Watch) -> Published:
    found = await watch.newer("", 0, 5)
    assert found is not None
    return found


def test_a_node_without_a_snapshot_gets_one_at_once(deployments: Deployments, database: Database) -> None:
    async def ask() -> None:
        async with watching(deployments, database) as watch:
            assert (await first(watch)).snapshot == deployments.snapshot()

    asyncio.run(ask())


def test_nothing_new_is_none_after_the_wait(deployments: Deployments, database: Database) -> None:
    async def ask() -> None:
        async with watching(deployments, database) as watch:
            known = (await first(watch)).snapshot
            began = time.monotonic()
            assert await watch.newer(known.hub, known.number, 0.3) is None
            assert 0.25 < time.monotonic() - began < 2
            assert await watch.newer(known.hub, known.number, 0) is None

    asyncio.run(ask())


def test_a_change_here_reaches_a_waiting_node_within_a_blink(
    deployments: Deployments, database: Database
) -> None:
    async def ask() -> float:
        async with watching(deployments, database, every_s=30) as watch:
            known = (await first(watch)).snapshot
            waiting = asyncio.create_task(watch.newer(known.hub, known.number, 20))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(deployments.put, "default", "digits")
            changed_s = time.monotonic()
            found = await waiting
            assert found is not None
            assert found.snapshot.deployments[0].model == "digits"
            return time.monotonic() - changed_s

    assert min(asyncio.run(ask()) for _ in range(3)) < 0.05


def test_a_change_by_another_hub_is_noticed_soon(deployments: Deployments, database: Database) -> None:
    other = Database(database.url)
    elsewhere = Deployments(other, Registry(other, MemoryBlobs()), Access(other).grants, limits_for_nodes)

    async def ask() -> float:
        async with watching(deployments, database) as watch:
            known = (await first(watch)).snapshot
            waiting = asyncio.create_task(watch.newer(known.hub, known.number, 20))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(elsewhere.put, "default", "digits", [Wish(1)])
            changed_s = time.monotonic()
            assert await waiting is not None
            return time.monotonic() - changed_s

    assert min(asyncio.run(ask()) for _ in range(3)) < 0.3
    other.close()


def test_a_thousand_nodes_wait_without_a_thread_or_a_connection(
    deployments: Deployments, database: Database
) -> None:
    async def ask() -> None:
        async with watching(deployments, database) as watch:
            known = (await first(watch)).snapshot
            threads = threading.active_count()
            waiting = [asyncio.create_task(watch.newer(known.hub, known.number, 30)) for _ in range(1000)]
            await asyncio.sleep(0.3)
            assert threading.active_count() <= threads
            assert "Connections in pool: 1" in database.engine.pool.status() or database.sqlite
            await asyncio.to_thread(deployments.put, "default", "digits")
            answers = await asyncio.gather(*waiting)
            assert len({id(answer.body) for answer in answers if answer is not None}) == 1

    asyncio.run(ask())


def test_nodes_that_wait_are_let_go_when_the_hub_stops(deployments: Deployments, database: Database) -> None:
    async def ask() -> None:
        async with watching(deployments, database) as watch:
            known = (await first(watch)).snapshot
            waiting = asyncio.create_task(watch.newer(known.hub, known.number, 30))
            await asyncio.sleep(0.05)
            watch.close()
            async with asyncio.timeout(1):
                assert await waiting is None
                assert await watch.newer(known.hub, known.number, 30) is None

    asyncio.run(ask())


def test_a_database_that_was_never_there_is_said_to_be_away(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    away = Database("postgresql+psycopg://forebay@127.0.0.1:1/forebay")
    deployments = Deployments(away, Registry(away, MemoryBlobs()), Access(away).grants, limits_for_nodes)

    async def ask() -> None:
        async with watching(deployments, away, every_s=0.01) as watch:
            with pytest.raises(NotReady, match="try again"):
                await watch.newer("", 0, 0.3)

    asyncio.run(ask())
    assert [record.getMessage() for record in caplog.records] == [
        "nodes hear of no change: the database is locked or away; try again"
    ]
    away.close()
