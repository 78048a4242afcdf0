"""The other end of a connection."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Remote(Protocol):
    """Who is at the other end; asked for keys with networks only."""

    @property
    def address(self) -> str:
        """The IP address; empty if it has none."""


def address_of(transport: asyncio.BaseTransport) -> str:
    """The IP address at the other end of *transport*; empty for a socket that has none."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""
