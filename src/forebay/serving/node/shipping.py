"""Takes the journal to the hub's ledger: again and again until the hub has said that it has it."""

from __future__ import annotations

import asyncio
import logging

from forebay.core import ForebayError
from forebay.serving.node.hub import HubLink
from forebay.serving.usage import FileJournal

_SHIPMENT_EVENTS = 2000
_GATHER_S = 0.2
_LAST_RETRY_S = 5.0
_log = logging.getLogger("forebay.node")


class Shipper:
    """Ships in order, one shipment at a time; what the ledger has twice, it counts once."""

    def __init__(self, journal: FileJournal, hub: HubLink) -> None:
        self._journal = journal
        self._hub = hub
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There is something new in the journal."""
        self._news.set()

    async def run(self) -> None:
        """Ship until cancelled."""
        retry_s = _GATHER_S
        while True:
            self._news.clear()
            try:
                shipped = await self.ship_once()
            except ForebayError as error:
                _log.warning("usage stays in the journal for now: %s", error)
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                continue
            retry_s = _GATHER_S
            if not shipped:
                await self._news.wait()
                await asyncio.sleep(_GATHER_S)  # company: one transaction for many events

    async def ship_once(self) -> bool:
        """Ship the oldest events, if there are any."""
        shipment = self._journal.read(_SHIPMENT_EVENTS)
        if shipment is None:
            return False
        next_seq = await self._hub.ship(shipment)
        self._journal.acknowledge(next_seq)
        return True

    async def finish(self, wait_s: float) -> None:
        """Before leaving: ship what is left, for at most *wait_s*; the rest waits for the next start."""
        try:
            async with asyncio.timeout(wait_s):
                while await self.ship_once():
                    pass
        except (TimeoutError, ForebayError) as error:
            _log.warning("usage stays in the journal until the next start: %r", error)
