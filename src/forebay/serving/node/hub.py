"""The node's line to its hub. Nothing on the path of a request ever waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
import msgspec

from forebay.core import LeaseAnswer, LeaseAsk, Manifest, NodeReport, Shipment, Snapshot
from forebay.core.errors import Broken, ForebayError, NotFound, NotReady, Unauthenticated

_POLL_S = 25.0
_CALL_S = 10.0
_LEASE_S = 2.0  # somebody may be waiting for it


class HubLink:
    """What a node asks its hub for. Every method raises `NotReady` while the hub is away."""

    def __init__(self, url: str, key: str, name: str) -> None:
        self._name = name
        self._client = httpx.AsyncClient(
            base_url=f"{url.rstrip('/')}/api/v1",
            headers={"authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(_CALL_S, read=_POLL_S + _CALL_S),
            trust_env=False,
        )

    async def snapshot(self, known: Snapshot) -> Snapshot | None:
        """The next snapshot after *known*; None when nothing has changed for a while."""
        query: dict[str, int | str | float] = {"after": known.number, "hub": known.hub, "wait_s": _POLL_S}
        response = await self._send("GET", f"/nodes/{self._name}/snapshot", params=query)
        if response.status_code == HTTPStatus.NO_CONTENT:
            return None
        return msgspec.json.decode(response.content, type=Snapshot)

    async def report(self, report: NodeReport) -> None:
        """Tell how this node is doing."""
        await self._send("POST", f"/nodes/{self._name}/report", content=msgspec.json.encode(report))

    async def ship(self, shipment: Shipment) -> int:
        """Hand over usage; returns the sequence number that the ledger expects next."""
        response = await self._send(
            "POST",
            f"/nodes/{self._name}/usage",
            content=msgspec.msgpack.encode(shipment),
            headers={"content-type": "application/x-msgpack"},
        )
        return int(response.json()["next_seq"])

    async def lease(self, asked: LeaseAsk) -> LeaseAnswer:
        """Say how many permits this worker has, and get more."""
        response = await self._send(
            "POST",
            f"/nodes/{self._name}/leases",
            content=msgspec.json.encode(asked),
            timeout_s=_LEASE_S,
        )
        return msgspec.json.decode(response.content, type=LeaseAnswer)

    async def manifest(self, digest: str) -> Manifest:
        """The manifest of an artifact, unverified."""
        response = await self._send("GET", f"/artifacts/{digest}")
        return Manifest.decode(response.content)

    @asynccontextmanager
    async def blob(self, sha256: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a blob in pieces, unverified."""
        try:
            async with self._client.stream("GET", f"/blobs/{sha256}") as response:
                if response.is_error:
                    await response.aread()
                _check(response)
                yield response.aiter_bytes(1 << 20)
        except httpx.HTTPError as error:
            raise NotReady(f"the hub is away: {error!r}") from error

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, int | str | float] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(timeout_s)
        try:
            response = await self._client.request(
                method, path, params=params, content=content, headers=headers, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise NotReady(f"the hub is away: {error!r}") from error
        _check(response)
        return response


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status < HTTPStatus.BAD_REQUEST:
        return
    kind: type[ForebayError] = Broken
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        kind = Unauthenticated
    elif status == HTTPStatus.NOT_FOUND:
        kind = NotFound
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = NotReady
    raise kind(f"the hub answered {status}: {_detail(response)}")


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
