"""Removing the blobs that nothing refers to: which ones are referred to is known only here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from forebay.control.hub.services import Services
from forebay.control.store import Collected, collect
from forebay.core.artifact import is_digest
from forebay.core.errors import ForebayError

GRACE_S = 24 * 3600.0
"""How long a blob stays after somebody uploaded it or asked for it, whatever refers to it."""
_EVERY_S = 3600.0
_log = logging.getLogger("forebay.hub")


def collect_blobs(services: Services, older_than_s: float = GRACE_S) -> Collected:
    """Remove what no active version and no unfinished job refers to."""
    referenced = services.registry.referenced()
    for job in services.jobs.unfinished():
        referenced.update(digests_in(job.request))
    return collect(services.blobs, referenced, older_than_s)


async def collect_now_and_then(services: Services) -> None:
    """Collect once an hour, until cancelled."""
    while True:
        await asyncio.sleep(_EVERY_S)
        try:
            found = await asyncio.to_thread(collect_blobs, services)
        except ForebayError as error:
            _log.warning("no blobs were collected: %s", error)
        except Exception:  # noqa: BLE001 (the outermost loop: nothing would ever be collected again)
            _log.exception("no blobs were collected")
        else:
            _log.info("collected %d blobs, %d bytes", found.blobs, found.size_bytes)


def digests_in(value: Any) -> Iterator[str]:
    """Every digest that stands somewhere in a JSON value.

    >>> list(digests_in({"data": {"sha256": "0" * 64}, "target": "price"})) == ["0" * 64]
    True
    """
    if isinstance(value, str) and is_digest(value):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from digests_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from digests_in(one)
