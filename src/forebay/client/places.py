"""Where the hub is and which key opens it: said outright, in the environment, or found on this machine."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from forebay.core.errors import Malformed, NotReady, Unauthenticated

_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_ADMIN_KEY = "admin.key"
_RUNNING = "up.json"


class Place(NamedTuple):
    """A hub and a key for it; `secret` is shell text for inside double quotes that says where the key is."""

    url: str
    key: str
    secret: str


class _Running(msgspec.Struct):
    """What `forebay up` left in the home about itself."""

    hub_url: str


def home_of(environ: Mapping[str, str]) -> Path:
    """$FOREBAY_HOME, or ~/.forebay."""
    return Path(environ.get("FOREBAY_HOME") or Path.home() / ".forebay").expanduser()


def find_place(
    url: str | None = None, key: str | None = None, environ: Mapping[str, str] = os.environ
) -> Place:
    """The hub to talk to; raises `NotReady` when none is known, `Unauthenticated` without a key.

    The administrator's key in the home is used only for the hub that runs from this very home, so
    that a wrong FOREBAY_URL never gets to see it.
    """
    home = home_of(environ)
    running = _running(home)
    url = url or environ.get("FOREBAY_URL") or running
    if not url:
        raise NotReady(
            f"no hub runs from {home}; start one with `forebay up`, or set FOREBAY_URL (and FOREBAY_KEY)"
        )
    url = url.rstrip("/")
    if not _URL.fullmatch(url):
        raise Malformed(f"{url!r} is no address of a hub; write it like http://127.0.0.1:8080")
    if key:
        return Place(url, _checked(key), "$FOREBAY_KEY")
    if environ.get("FOREBAY_KEY"):
        return Place(url, _checked(environ["FOREBAY_KEY"]), "$FOREBAY_KEY")
    file = home / _ADMIN_KEY
    if url != running or not file.is_file():
        raise Unauthenticated(f"there is no key for {url}; set FOREBAY_KEY to one")
    return Place(url, _checked(_read(file)), f"$(cat {shlex.quote(str(file))})")


def _running(home: Path) -> str | None:
    file = home / _RUNNING
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Running).hub_url.rstrip("/")
    except msgspec.MsgspecError as error:
        raise Malformed(f"{file} cannot be read ({error}); delete it and start `forebay up` again") from error


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except PermissionError as error:
        raise Unauthenticated(f"{file} belongs to another user; set FOREBAY_KEY to a key of yours") from error


def _checked(key: str) -> str:
    """The key itself: header-safe, or `Unauthenticated` before it is sent anywhere."""
    found = key.strip()
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise Unauthenticated("that is no key: keys look like fb-0a1b2c3d-… and have no spaces")
    return found
