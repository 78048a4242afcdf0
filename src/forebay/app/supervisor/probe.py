"""Whether somebody answers at an address."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

_PATIENCE_S = 2.0


async def answers_ok(url: str) -> bool:
    """Whether GET *url* is answered with 200 within two seconds, on a connection of its own."""
    try:
        return await asyncio.wait_for(_status(url), _PATIENCE_S) == HTTPStatus.OK
    except (OSError, TimeoutError, ValueError):
        return False


async def _status(url: str) -> int:
    """The status code of one plain HTTP/1.1 GET; raises `ValueError` when the answer is no HTTP."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        request = f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        line = await reader.readline()
        return int(line.split(b" ", 2)[1] if line.startswith(b"HTTP/") else b"")
    finally:
        writer.close()
