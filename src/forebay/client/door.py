"""One server as a client sees it: kept connections, time limits, careful retries, errors as ours."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
import orjson

from forebay.client.problems import error_from
from forebay.core.errors import Broken, Late, NotReady

T = TypeVar("T")
Body = Callable[[], Iterable[bytes]]
"""Makes the body anew, so that a second try sends all of it."""

_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_CONNECT_S = 5.0
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_PASSING = _BUSY | {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}


class Patience(NamedTuple):
    """How often and how long a call is tried again: after 0.1, 0.2, 0.4 … s (half of it by chance).

    The pauses grow and are spread, so that many clients do not come back at once (Brooker 2015,
    "Exponential backoff and jitter").
    """

    tries: int = 7
    longest_s: float = 10.0
    first_s: float = 0.1

    def pause_s(self, tried: int, retry_after_s: float | None, luck: float) -> float | None:
        """The pause after the *tried*-th failure; None to give up. *luck* is in [0, 1).

        >>> Patience().pause_s(1, None, luck=0.0)
        0.05
        >>> Patience().pause_s(1, 3.0, luck=0.0)  # the server's wish is kept
        3.0
        >>> Patience().pause_s(1, 60.0, luck=0.0) is None
        True
        """
        if tried >= self.tries:
            return None
        grown = self.first_s * 2.0 ** (tried - 1)
        pause = max(retry_after_s or 0.0, grown / 2) + luck * grown / 2
        return pause if pause <= self.longest_s else None


STEADY = Patience()
"""About six seconds: as long as a supervisor needs to start a hub or a node again."""
BRIEF = Patience(tries=3)
AT_ONCE = Patience(tries=1)


class Door:
    """A hub or a node at *url*, asked with *key*. Safe to share between threads."""

    def __init__(
        self, url: str, key: str, *, what: str = "hub", timeout_s: float = 30.0, patience: Patience = STEADY
    ) -> None:
        self.url = url.rstrip("/")
        self.what = what
        self.patience = patience
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
            trust_env=not is_loopback(self.url),  # a company's proxy knows nothing of this machine
        )

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def ask(self, method: str, path: str, kind: type[T], **asked: Any) -> T:
        """Ask for JSON and read it as *kind*; see `send` for what may be *asked*."""
        response = self.send(method, path, **asked)
        try:
            return msgspec.json.decode(response.content, type=kind, strict=False)
        except msgspec.MsgspecError as error:
            raise Broken(
                f"the {self.what} at {self.url} sent what this client cannot read: {error}"
            ) from error

    def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        body: Body | None = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        patience: Patience | None = None,
        absent: frozenset[int] = frozenset(),
        timeout_s: float | None = None,
    ) -> httpx.Response:
        """Send until there is an answer; raises `ForebayError` unless its status is below 400 or *absent*.

        What is known to take long has a *timeout_s* of its own.
        """
        content = None if json is None else orjson.dumps(json, option=orjson.OPT_SERIALIZE_NUMPY)
        sent = dict(headers or {})
        if content is not None:
            sent["Content-Type"] = "application/json"
        given = {name: value for name, value in (query or {}).items() if value is not None}

        timeout = httpx.Timeout(timeout_s or self._timeout_s, connect=_CONNECT_S)

        def once() -> httpx.Response:
            return self._http.request(
                method, path, content=body() if body else content, params=given, headers=sent, timeout=timeout
            )

        response = self._persist(once, method in _REPEATABLE, patience or self.patience)
        if response.status_code >= HTTPStatus.BAD_REQUEST and response.status_code not in absent:
            raise error_from(response.status_code, response.content, dict(response.headers))
        return response

    def events(self, path: str, **query: Any) -> Iterator[bytes]:
        """The `data:` lines of an event stream; ends when the stream does. One try: the caller comes back."""
        quiet = httpx.Timeout(self._timeout_s, connect=_CONNECT_S)
        try:
            with self._http.stream("GET", path, params=query, timeout=quiet) as response:
                if response.status_code >= HTTPStatus.BAD_REQUEST:
                    raise error_from(response.status_code, response.read(), dict(response.headers))
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        yield line[5:].strip().encode()
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _persist(
        self, once: Callable[[], httpx.Response], repeatable: bool, patience: Patience
    ) -> httpx.Response:
        for tried in range(1, patience.tries + 1):
            try:
                response = once()
            except httpx.TransportError as error:
                pause = patience.pause_s(tried, None, random.random())  # noqa: S311 - spreads clients, guards nothing
                if pause is None or not (repeatable or isinstance(error, httpx.ConnectError)):
                    raise self._away(error) from error
            else:
                wish = error_from(response.status_code, b"", dict(response.headers)).retry_after_s
                refused = response.status_code in _BUSY and wish is not None
                pause = patience.pause_s(tried, wish, random.random())  # noqa: S311 - spreads clients, guards nothing
                if pause is None or not (refused or (repeatable and response.status_code in _PASSING)):
                    return response
            time.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def _away(self, error: httpx.TransportError) -> NotReady | Late:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return NotReady(
                f"no {self.what} answers at {self.url}; `forebay up` starts one here, "
                "FOREBAY_URL says where another hub is"
            )
        if isinstance(error, httpx.TimeoutException):
            return Late(f"the {self.what} at {self.url} did not answer within {self._timeout_s:g} s")
        return NotReady(
            f"the connection to the {self.what} at {self.url} broke: {str(error) or type(error).__name__}"
        )


def is_loopback(url: str) -> bool:
    """Whether *url* stays on this machine.

    >>> is_loopback("http://127.0.0.1:8080"), is_loopback("https://hub.example.org")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
