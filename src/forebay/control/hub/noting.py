"""Writing down when keys were used: beside the requests, none of which waits for it."""

from __future__ import annotations

import asyncio
import logging

from forebay.control.hub.services import Services
from forebay.core.errors import ForebayError

_EVERY_S = 30.0
_log = logging.getLogger("forebay.hub")


async def note_now_and_then(services: Services) -> None:
    """Write twice a minute, until cancelled."""
    while True:
        await asyncio.sleep(_EVERY_S)
        await note_last_use(services)


async def note_last_use(services: Services) -> None:
    """Write what is known; what cannot be written now is kept for the next time."""
    try:
        await asyncio.to_thread(services.access.write_last_use)
    except ForebayError as error:
        _log.warning("when keys were used is not written yet: %s", error)
    except Exception:  # noqa: BLE001 (the outermost loop: it would never be written again)
        _log.exception("when keys were used is not written")
