"""Closing months that have ended, and writing their invoices."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from forebay.control.hub.services import Services
from forebay.core.errors import ForebayError

_EVERY_S = 3600.0
_log = logging.getLogger("forebay.hub")


async def invoice_now_and_then(services: Services, after_h: float) -> None:
    """Close what ended *after_h* hours ago or earlier, once an hour, until cancelled."""
    while True:
        try:
            ended = datetime.now(UTC) - timedelta(hours=after_h)
            issued = await asyncio.to_thread(services.invoices.issue_due, ended)
        except ForebayError as error:
            _log.warning("no invoices were written: %s", error)
        except Exception:  # noqa: BLE001 (the outermost loop: nothing would ever be invoiced again)
            _log.exception("no invoices were written")
        else:
            if issued:
                _log.info("wrote %d invoices", len(issued))
        await asyncio.sleep(_EVERY_S)
