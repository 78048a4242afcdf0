"""Checks that ask the hub: whether it answers, whose key we hold, how its nodes are, what time it is."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from forebay.app.doctor.findings import Finding, Patient
from forebay.client.door import Door, Patience
from forebay.client.places import find_place
from forebay.core.errors import ForebayError, NotReady, Unauthenticated

_ONCE = Patience(tries=1)
_CLOCKS_DIFFER_S = 5.0
_FUTURE_S = 60.0
_CATCHES_UP_S = 3.0
_MANY_EVENTS = 10_000
_SET_CLOCK = "set the clock and keep it set: `timedatectl set-ntp true`, or run chrony"


class Node(msgspec.Struct, frozen=True):
    """What the hub says of a node."""

    name: str
    alive: bool
    behind: int = 0
    journal_behind: int = 0
    silent_s: float = 0.0
    clock_ahead_s: float | None = None
    versions: list[dict[str, Any]] = []


class _Nodes(msgspec.Struct, frozen=True):
    items: list[Node]


def check_hub(patient: Patient) -> Finding:
    """Whether there is a hub, and it answers."""
    url = patient.hub_url
    if url is None:
        return Finding.warn(f"no hub runs from {patient.settings.home}", "`forebay up` starts one")
    try:
        _door(url).send("GET", "/api/v1/health")
    except ForebayError as error:
        what = f"the hub at {url} does not answer ({str(error).partition(';')[0]})"
        if patient.settings.url:
            return Finding.fail(what, "start it there, or set FOREBAY_URL to where it is")
        return Finding.fail(
            what, f"its log {patient.home.logs / 'hub.log'} says why; `forebay up` starts it again"
        )
    return Finding.ok(f"answers at {url}")


def check_key(patient: Patient) -> Finding:
    """Whether the hub knows the key that this machine's commands show."""
    if patient.hub_url is None:
        return Finding.ok("there is no hub to show one to")
    environ = patient.settings.environment()
    try:
        place = find_place(environ=environ)
        me = _door(place.url, place.key).ask("GET", "/api/v1/me", dict[str, Any])
    except Unauthenticated as error:
        if environ["FOREBAY_KEY"]:
            mend = "set FOREBAY_KEY to a valid key; `forebay keys create` on the hub's machine makes one"
        else:
            mend = f"move {patient.settings.home}/admin.key away and start the hub again: it makes a new one"
        return Finding.fail(str(error).partition(";")[0], mend)
    except ForebayError as error:
        return Finding.warn(f"could not be tried: {error}", "see what `hub` says")
    return Finding.ok(f"{me.get('key_id')} of the project {me.get('project')} may {_listed(me)}")


def check_nodes(patient: Patient) -> Finding:
    """Whether every node is alive, has heard of every change, and ships what it counted."""
    try:
        nodes = _nodes(patient)
        if any(node.behind for node in nodes):
            time.sleep(_CATCHES_UP_S)  # a change that was made just now is no trouble
            nodes = _nodes(patient)
    except ForebayError as error:
        return Finding.warn(f"could not be asked for: {error}", "see what `hub` and `key` say")
    if not nodes:
        return Finding.warn(
            "no node was ever heard of", "`forebay up` or `forebay node --hub URL` starts one"
        )
    return next((found for node in nodes if (found := _trouble(node))), Finding.ok(_well(nodes)))


def check_clock(patient: Patient) -> Finding:
    """Whether this machine's clock agrees with its own files, with the hub's and with the nodes' clocks."""
    newest = max(_written(patient), default=0.0)
    if newest > time.time() + _FUTURE_S:
        return Finding.fail(
            f"a file in {patient.settings.home} was written {newest - time.time():,.0f} s from now: "
            "this clock was ahead, or is behind",
            _SET_CLOCK,
        )
    ahead_s = _ahead_of_hub_s(patient)
    if ahead_s is not None and abs(ahead_s) > _CLOCKS_DIFFER_S:
        return Finding.fail(f"this clock and the hub's differ by {abs(ahead_s):,.0f} s", _SET_CLOCK)
    return Finding.ok("no clock to compare with" if ahead_s is None else "this clock and the hub's agree")


def _door(url: str, key: str = "none") -> Door:
    return Door(url, key, timeout_s=5.0, patience=_ONCE)


def _nodes(patient: Patient) -> list[Node]:
    if patient.hub_url is None:
        raise NotReady("no hub runs")
    place = find_place(environ=patient.settings.environment())
    return _door(place.url, place.key).ask("GET", "/api/v1/nodes", _Nodes).items


def _trouble(node: Node) -> Finding | None:
    log = "its log (logs/node.log in its home) says why"
    if not node.alive:
        return Finding.fail(
            f"node {node.name} was last heard of {node.silent_s:,.0f} s ago",
            f"start it again; {log}. If it is gone for good: DELETE /api/v1/nodes/{node.name}",
        )
    if node.behind:
        return Finding.fail(f"node {node.name} has not heard of the last {node.behind} change(s)", log)
    failed = [version for version in node.versions if version.get("state") == "failed"]
    if failed:
        model, version, error = (failed[0].get(name) for name in ("model", "version", "error"))
        return Finding.fail(
            f"node {node.name} cannot serve {model}:{version}: {error}",
            "deploy a version that works, or mend what it says",
        )
    if node.clock_ahead_s is not None and abs(node.clock_ahead_s) > _CLOCKS_DIFFER_S:
        return Finding.fail(
            f"node {node.name}'s clock and the hub's differ by {node.clock_ahead_s:+,.0f} s", _SET_CLOCK
        )
    if node.journal_behind > _MANY_EVENTS:
        return Finding.warn(f"node {node.name} has {node.journal_behind:,} usage events still to ship", log)
    return None


def _well(nodes: list[Node]) -> str:
    return f"{', '.join(node.name for node in nodes)}: alive, and up to date"


def _written(patient: Patient) -> list[float]:
    home = patient.settings.home
    return [path.stat().st_mtime for path in home.iterdir()] if home.is_dir() else []


def _ahead_of_hub_s(patient: Patient) -> float | None:
    """How far this clock is ahead of the hub's, to the second; None when no hub answers."""
    if patient.hub_url is None:
        return None
    try:
        said = _door(patient.hub_url).send("GET", "/api/v1/health").headers.get("date")
    except ForebayError:
        return None  # `hub` says so
    return None if said is None else time.time() - parsedate_to_datetime(said).timestamp()


def _listed(me: dict[str, Any]) -> str:
    return ", ".join(me.get("permissions", ()))
