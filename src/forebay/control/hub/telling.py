"""What the audit hears of a request, beside what the rooms write down themselves."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from http import HTTPStatus

import anyio.to_thread
from starlette.types import Scope

from forebay.control.store import ERRAND, Deed, Errand
from forebay.core.errors import ForebayError

_log = logging.getLogger("forebay.hub")
_STRANGER_EVERY_S = 60.0
_STRANGERS = 1000
_PATH_CHARS = 300
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Strangers:
    """When each address without a key was last told of: once a minute, so that nobody fills the disk."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, float] = OrderedDict()

    def is_news(self, address: str) -> bool:
        """Whether to tell of *address* now."""
        now_s = time.monotonic()
        if now_s - self._told.get(address, float("-inf")) < _STRANGER_EVERY_S:
            return False
        self._told[address] = now_s
        self._told.move_to_end(address)
        if len(self._told) > _STRANGERS:
            self._told.popitem(last=False)
        return True


def errand_of(scope: Scope) -> Errand:
    """The errand of a request that begins; rooms find it while it is answered."""
    client = scope.get("client")
    errand = Errand(origin=client[0] if client else "")
    ERRAND.set(errand)
    return errand


def deed_of(scope: Scope, project: str) -> Deed:
    """What a request would do: its route's name, and the path that it is asked at."""
    route = scope.get("route")
    tags = getattr(route, "tags", None) or ["api"]
    name = getattr(route, "name", "") or scope["method"].lower()
    path: str = scope["path"]
    subject = path.removeprefix("/api/v1/").encode("utf-8", "replace").decode().replace("\0", "")
    named: str = scope.get("path_params", {}).get("project", project)
    return Deed(named[:80].replace("\0", ""), "", f"{tags[0]}.{name}", subject[:_PATH_CHARS])


async def tell(scope: Scope, errand: Errand, status: int) -> None:
    """Write down how a request ended, where no transaction has; *status* is 0 if it had no answer."""
    deed = _untold(scope, errand, status)
    errand.deed = None
    if deed is None:
        return
    record = partial(scope["app"].state.services.audit.record, deed)
    try:
        await anyio.to_thread.run_sync(record)
    except ForebayError as error:
        _log.error("%s %s by key %s is not in the audit: %s", deed.action, status, errand.who or "-", error)


def _untold(scope: Scope, errand: Errand, status: int) -> Deed | None:
    outcome = "failed" if status >= 500 or not status else "refused" if status >= 400 else "done"
    detail = {"status": str(status)}
    if errand.deed is not None:
        if errand.written and status < 400:
            return None
        return replace(errand.deed, outcome=outcome, detail=detail)
    unseen = status == HTTPStatus.NOT_FOUND and errand.who and scope["method"] not in ("GET", "HEAD")
    if not (unseen or status in _REFUSED) or scope.get("route") is None:
        return None
    strangers: Strangers = scope["app"].state.strangers
    if not errand.who and not strangers.is_news(errand.origin):
        return None
    return replace(deed_of(scope, ""), outcome=outcome, detail=detail)
