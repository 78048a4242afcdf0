"""The wait for the next snapshot: one look at the database on behalf of every node that waits."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from forebay.control.deploy.deployments import Deployments
from forebay.control.store import Changes
from forebay.core import Snapshot
from forebay.core.errors import ForebayError, NotReady

_log = logging.getLogger("forebay.hub")
_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Published:
    """A snapshot and its JSON, which is written once for all nodes."""

    snapshot: Snapshot
    body: bytes


class Watch:
    """Knows the last snapshot, and wakes those who wait for a later one.

    It looks at once when a transaction of this process has changed something, and twice a second for
    the changes of other hubs on the same database. Waiting holds no thread and no connection. Everything
    but the look itself happens on one event loop.
    """

    def __init__(self, deployments: Deployments, changes: Changes, every_s: float = _EVERY_S) -> None:
        self._deployments = deployments
        self._changes = changes
        self._every_s = every_s
        self._last: Published | None = None
        self._turn = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """Look and wake, until cancelled."""
        loop, kicked = asyncio.get_running_loop(), asyncio.Event()
        trouble = ""
        with ThreadPoolExecutor(1, "watch") as pool, self._changes.listening(partial(_kick, loop, kicked)):
            while True:
                kicked.clear()
                trouble = await self._look(loop, pool, trouble)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._every_s):
                        await kicked.wait()

    async def newer(self, hub: str, after: int, wait_s: float) -> Published | None:
        """The snapshot, as soon as it is of another database than *hub* or later than number *after*.

        None when *wait_s* have passed, or when this hub is about to stop. Raises `NotReady` when nothing
        could be read yet.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not (self._is_news(hub, after) or self._closed):
                    await self._turn.wait()
        if self._last is None:
            raise NotReady("the hub has not read its database yet; try again", retry_after_s=1.0)
        return self._last if self._is_news(hub, after) else None

    def close(self) -> None:
        """Let everybody who waits go, so that the server can stop; for the thread of the event loop."""
        self._closed = True
        self._turn.set()

    def _is_news(self, hub: str, after: int) -> bool:
        return self._last is not None and (
            self._last.snapshot.hub != hub or self._last.snapshot.number > after
        )

    async def _look(self, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor, trouble: str) -> str:
        """Publish what is new; the trouble of this look, which is logged when it is another than the last."""
        try:
            self._publish(await loop.run_in_executor(pool, self._deployments.snapshot))
        except ForebayError as error:
            if str(error) != trouble:
                _log.warning("nodes hear of no change: %s", error)
            return str(error)
        except Exception:  # noqa: BLE001 (the outermost loop: nodes would never hear of a change again)
            if trouble != "unforeseen":
                _log.exception("nodes hear of no change")
            return "unforeseen"
        return ""

    def _publish(self, snapshot: Snapshot) -> None:
        if self._last is not None and self._last.snapshot is snapshot:
            return
        self._last = Published(snapshot, msgspec.json.encode(snapshot))
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()


def _kick(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has ended since: nobody waits on it any more
        loop.call_soon_threadsafe(event.set)
