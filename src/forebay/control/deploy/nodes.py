"""The nodes: what they last said, and whether they are still there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from forebay.control.deploy.sightings import Sightings
from forebay.control.deploy.tables import NodeRow
from forebay.control.store import Database, current
from forebay.core import MachineKind, NodeReport
from forebay.core.errors import Malformed, NotFound

_ALIVE_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_URL = re.compile(r"https?://[^\s/]+\S*")


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node as it is shown.

    `silent_s` is the time since its last report, `behind` how many changes it has not heard of, and
    `clock_ahead_s` how far its clock was ahead of the hub's when it reported (None if it did not say).
    """

    report: NodeReport
    heard_at: datetime
    silent_s: float
    alive: bool
    behind: int
    clock_ahead_s: float | None


class Nodes:
    """All nodes of one database. Each that reported within ten seconds is alive."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._sightings = Sightings()

    def report(self, report: NodeReport) -> None:
        """Keep what a node says of itself; raises `Malformed` for a name or an address that cannot be."""
        if not _NAME.fullmatch(report.name):
            raise Malformed(
                f"{report.name[:80]!r} is no node name; use letters, digits, '.', '_' and '-', at most 253"
            )
        if not _URL.fullmatch(report.url):
            raise Malformed(
                f"{report.url[:80]!r} is no address of a node; it begins with http:// or https://"
            )
        now = self._clock()
        row = NodeRow(name=report.name, report=msgspec.json.encode(report).decode(), heard_at=now)
        try:
            self._keep(row)
        except IntegrityError:  # its first two reports came at once, and the other was faster
            self._keep(row)
        self._sightings.heard(report.name, now, self._monotonic_s())

    def alive(self) -> list[NodeReport]:
        """What the nodes said that are alive, by name."""
        return [node.report for node in self.list() if node.alive]

    def machines(self) -> dict[str, MachineKind | None]:
        """Which kind of machine each node is that serves: those alive, or all known while none is."""
        known = self.list()
        serving = [node for node in known if node.alive] or known
        return {node.report.name: node.report.machine for node in serving}

    def remove(self, name: str) -> None:
        """Forget a node; it is back with its next report. Raises `NotFound`."""
        with self._database.write() as session:
            row = session.get(NodeRow, name)
            if row is None:
                raise NotFound(f"no node {name[:80]!r}; GET /api/v1/nodes lists them")
            session.delete(row)
        self._sightings.forget(name)

    def inference_url(self) -> str | None:
        """Where to ask for predictions: a node that is alive, at best one that is ready; None without any."""
        alive = sorted(self.alive(), key=lambda report: not report.ready)
        return alive[0].url if alive else None

    def list(self) -> list[NodeRecord]:
        """Every node that ever reported and was not removed, by name."""
        with self._database.read() as session:
            rows = list(session.scalars(select(NodeRow)))
            number = current(session)[1]
        return sorted((self._record(row, number) for row in rows), key=lambda node: node.report.name)

    def _keep(self, row: NodeRow) -> None:
        with self._database.write() as session:
            session.merge(row)

    def _record(self, row: NodeRow, number: int) -> NodeRecord:
        report = msgspec.json.decode(row.report, type=NodeReport)
        silent_s = self._sightings.silent_s(row.name, row.heard_at, self._clock(), self._monotonic_s())
        ahead_s = report.time_ns / 1e9 - row.heard_at.timestamp() if report.time_ns else None
        return NodeRecord(
            report, row.heard_at, silent_s, silent_s < _ALIVE_S, max(0, number - report.snapshot), ahead_s
        )
