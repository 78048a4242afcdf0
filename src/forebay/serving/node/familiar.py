"""A client says the same head again and again: what was parsed once need not be parsed again.

A head is familiar when the very same bytes came before on the same connection, as one whole request.
Equal bytes mean an equal request, so nothing is lost by not asking the parser; who is calling, and
whether they still may, is asked every time.
"""

from __future__ import annotations

from typing import NamedTuple

from forebay.serving.node.exchange import Exchange

_END = b"\r\n\r\n"


class Familiar(NamedTuple):
    """A head, the length of the whole request, and what the parser made of it. The headers are shared."""

    head: bytes
    size: int
    method: bytes
    target: bytes
    headers: dict[bytes, bytes]


def familiar_from(data: bytes, exchange: Exchange) -> Familiar | None:
    """The head of *data*, which the parser found to be exactly the request *exchange*; None if unsure.

    The body must be what follows the first empty line: then it came neither in chunks nor after stray
    line ends, and the next request with this head ends where this one did.
    """
    end = data.find(_END) + len(_END)
    if end != len(data) - exchange.size or b"expect" in exchange.headers:
        return None
    return Familiar(data[:end], len(data), exchange.method, exchange.target, exchange.headers)
