"""Takes the journal to the hub's ledger: again and again until the hub has said that it has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from forebay.core import ForebayError
from forebay.serving.node.hub import HubLink
from forebay.serving.usage import SHIPMENT_EVENTS, FileJournal

_PROMPT_S = 0.2
_GATHER_S = 1.0
_FEW_EVENTS = 32
_LAST_RETRY_S = 5.0
_log = logging.getLogger("forebay.node")
_Result = TypeVar("_Result")


class Shipper:
    """Ships in order, one shipment at a time; what the ledger has twice, it counts once.

    A shipment costs a transaction, so a busy node lets events gather for a second; while there are few,
    the ledger has them at once. The journal is read in a thread of its own, beside the event loop.
    """

    def __init__(self, journal: FileJournal, hub: HubLink) -> None:
        self._journal = journal
        self._hub = hub
        self._news = asyncio.Event()
        if journal.behind:
            self._news.set()
        self._thread = ThreadPoolExecutor(1, "shipper")

    def wake(self) -> None:
        """There is something new in the journal."""
        self._news.set()

    async def run(self) -> None:
        """Ship until cancelled."""
        retry_s = pause_s = _PROMPT_S
        while True:
            await self._news.wait()
            await asyncio.sleep(pause_s)
            self._news.clear()
            pause_s = _PROMPT_S if self._journal.behind <= _FEW_EVENTS else _GATHER_S
            try:
                await self._ship_down_to(SHIPMENT_EVENTS)
            except ForebayError as error:
                _log.warning("usage stays in the journal for now: %s", error)
                self._news.set()
                pause_s, retry_s = retry_s, min(2 * retry_s, _LAST_RETRY_S)
            else:
                retry_s = _PROMPT_S

    async def finish(self, wait_s: float) -> None:
        """Before leaving: ship what is left, for at most *wait_s*; the rest waits for the next start."""
        try:
            async with asyncio.timeout(wait_s):
                await self._ship_down_to(0)
        except (TimeoutError, ForebayError) as error:
            _log.warning("usage stays in the journal until the next start: %r", error)
        self._thread.shutdown()

    async def _ship_down_to(self, behind: int) -> None:
        """Ship until at most so many events wait; what is left then gathers company."""
        while (shipment := await self._beside(self._journal.read)) is not None:
            next_seq = await self._hub.ship(shipment)
            await self._beside(partial(self._journal.acknowledge, next_seq))
            if self._journal.behind <= behind:
                break
        if self._journal.behind:
            self._news.set()

    async def _beside(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
