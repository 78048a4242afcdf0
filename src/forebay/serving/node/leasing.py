"""Gets permits of the hub, beside the requests: now and then, and at once when they run low."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import suppress

import msgspec

from forebay.core import ForebayError, LeaseAsk
from forebay.serving.node.hub import HubLink
from forebay.serving.node.limiting import Limiter

_ROUND_S = 1.0
_PAUSE_S = 0.005
_log = logging.getLogger("forebay.node")


class Leaser:
    """One worker's conversation about permits, one question at a time.

    A process is another holder than the one before it: what that one had is lost until its leases end,
    because nobody knows how much of it was spent.
    """

    def __init__(self, limiter: Limiter, hub: HubLink, name: str) -> None:
        self._limiter = limiter
        self._hub = hub
        self._holder = f"{name}/{secrets.token_hex(8)}"
        self._number = 0
        self._told = False

    async def run(self) -> None:
        """Ask until cancelled."""
        hungry = self._limiter.hungry
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_S if self._limiter.meters else None):
                    await hungry.wait()
            hungry.clear()
            await self._round()
            await asyncio.sleep(_PAUSE_S)

    async def finish(self) -> None:
        """Before leaving: give back what nobody has spent."""
        for meter in self._limiter.meters.values():
            meter.retire()
        await self._round()

    async def _round(self) -> None:
        limiter, began_s = self._limiter, time.monotonic()
        waiting, asks = limiter.waiting(), limiter.asks(began_s)
        if not asks:
            limiter.decide(waiting)
            return
        self._number += 1
        try:
            answer = await self._hub.lease(LeaseAsk(self._holder, self._number, asks))
        except (ForebayError, msgspec.MsgspecError) as error:
            if not self._told:
                _log.warning("no permits from the hub: %s; what is leased here is all that there is", error)
            self._told = True
            limiter.away(waiting)
        else:
            self._told = False
            limiter.answered(answer, began_s, waiting)
