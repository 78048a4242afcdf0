"""Deployments: which versions a model name answers with, and the snapshot that tells the nodes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from forebay.control.deploy.reading import for_nodes, read_aliases, read_deployments
from forebay.control.deploy.records import DeploymentRecord, Wish
from forebay.control.deploy.tables import DeploymentRow, TargetRow
from forebay.control.registry import Gate, Registry, find_active_version, hold_model, pass_gate
from forebay.control.store import Database, bump, current
from forebay.core import CallLimit, KeyGrant, Limits, ModelRef, Snapshot
from forebay.core.errors import Conflict, Malformed, NotFound

_MOST_TARGETS = 16
_HEAVIEST = 1_000_000
_LARGEST_CACHE = 1 << 40


class Deployments:
    """Every project's deployments, in one database.

    *grants* says which keys the nodes have to know, *call_limits* what calls may take.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        grants: Callable[[Session], tuple[KeyGrant, ...]],
        call_limits: Callable[[Session], tuple[CallLimit, ...]],
    ) -> None:
        self._database = database
        self._grants = grants
        self._call_limits = call_limits
        self._lock = threading.Lock()
        self._last: Snapshot | None = None
        registry.ask_before_removing(self)

    def put(
        self,
        project: str,
        model: str,
        wishes: Sequence[Wish] = (),
        limits: Limits | None = None,
        *,
        pin: bool = False,
        revision: int | None = None,
        gate: Gate | None = None,
    ) -> DeploymentRecord:
        """Let *model* answer with the versions of *wishes* from now on; without any, with the newest.

        With *pin*, nodes keep them in memory whatever else wants the room.

        With a *revision*, only if the deployment is still as it was then (0: if there is none yet).
        Raises `NotFound`, `Malformed`, and `Conflict` for a retired version, one that the *gate* refuses,
        or another revision.
        """
        limits = _checked_limits(limits or Limits())
        with self._database.write() as session:
            hold_model(session, project, model)
            _check_revision(session.get(DeploymentRow, (project, model)), revision)
            before = _shares(session, project, model)
            targets = _targets(session, project, model, wishes or (Wish(),))
            _write(
                session, DeploymentRow(project=project, model=model, limits=_text(limits), pin=pin), targets
            )
            shares = _shares(session, project, model)
            if shares != before:  # new limits alone take nothing away from what answers already
                _pass_all(session, project, model, shares, gate or Gate())
            return read_deployments(session, project, model)[0]

    def get(self, project: str, model: str) -> DeploymentRecord:
        """The deployment of *model*; raises `NotFound`."""
        with self._database.read() as session:
            found = read_deployments(session, project, model)
        if not found:
            raise _not_deployed(project, model)
        return found[0]

    def list(self, project: str) -> tuple[DeploymentRecord, ...]:
        """Every deployment of *project*, by model."""
        with self._database.read() as session:
            return tuple(read_deployments(session, project))

    def delete(self, project: str, model: str, *, revision: int | None = None) -> None:
        """Let *model* answer no more; raises `NotFound`, and `Conflict` for another revision."""
        with self._database.write() as session:
            hold_model(session, project, model)
            row = session.get(DeploymentRow, (project, model))
            if row is None:
                raise _not_deployed(project, model)
            _check_revision(row, revision)
            _forget_targets(session, project, model)
            session.delete(row)
            bump(session)

    def snapshot(self) -> Snapshot:
        """What the nodes have to know now, all of one moment; cheap while nothing changes."""
        with self._lock, self._database.read() as session:
            hub, number = current(session)
            if self._last is None or (self._last.hub, self._last.number) != (hub, number):
                aliases = read_aliases(session)
                deployments = tuple(
                    for_nodes(record, aliases.get((record.project, record.model), {}))
                    for record in read_deployments(session)
                )
                self._last = Snapshot(
                    hub, number, self._grants(session), deployments, self._call_limits(session)
                )
            return self._last

    def users_of_version(self, session: Session, project: str, model: str, version: int) -> tuple[str, ...]:
        """The deployment that names *version*, for the registry to say before it retires it."""
        mine = (TargetRow.project == project, TargetRow.model == model, TargetRow.version == version)
        used = session.scalar(select(func.count()).where(*mine))
        return (f"the deployment {model!r}",) if used else ()

    def users_of_alias(self, session: Session, project: str, model: str, alias: str) -> tuple[str, ...]:
        """The deployment that follows *alias*, for the registry to say before it removes it."""
        mine = (TargetRow.project == project, TargetRow.model == model, TargetRow.alias == alias)
        used = session.scalar(select(func.count()).where(*mine))
        return (f"the deployment {model!r}",) if used else ()


def _shares(session: Session, project: str, model: str) -> dict[int, int]:
    """The versions that the model answers with, and their weights."""
    shares: dict[int, int] = defaultdict(int)
    for record in read_deployments(session, project, model):
        for target in record.targets:
            shares[target.version] += target.weight
    return shares


def _pass_all(session: Session, project: str, model: str, versions: Iterable[int], gate: Gate) -> None:
    for version in versions:
        row = find_active_version(session, project, ModelRef(model, version=version))
        pass_gate(session, row, gate, f"the deployment {model!r}")


def _write(session: Session, row: DeploymentRow, targets: list[TargetRow]) -> None:
    row.revision, row.updated_at = bump(session), datetime.now(UTC)
    found = session.get(DeploymentRow, (row.project, row.model))
    row.created_at = row.updated_at if found is None else found.created_at
    session.merge(row)
    session.flush()
    _forget_targets(session, row.project, row.model)
    session.add_all(targets)
    session.flush()


def _text(limits: Limits) -> str:
    return msgspec.json.encode(limits).decode()


def _forget_targets(session: Session, project: str, model: str) -> None:
    session.execute(delete(TargetRow).where(TargetRow.project == project, TargetRow.model == model))


def _not_deployed(project: str, model: str) -> NotFound:
    return NotFound(f"the model {model!r} is not deployed in the project {project!r}; deploy it first")


def _check_revision(row: DeploymentRow | None, expected: int | None) -> None:
    found = 0 if row is None else row.revision
    if expected is not None and expected != found:
        raise Conflict(
            f"somebody has deployed meanwhile: the revision is {found}, not {expected}; look again first"
        )


def _checked_limits(limits: Limits) -> Limits:
    for name in ("batch_rows", "queue_rows"):
        rows = getattr(limits, name)
        if rows is not None and not 1 <= rows <= _HEAVIEST:
            raise Malformed(f"limits.{name} is {rows}; it must be from 1 to {_HEAVIEST:,}")
    if limits.cache_bytes is not None and not 0 <= limits.cache_bytes <= _LARGEST_CACHE:
        raise Malformed(f"limits.cache_bytes is {limits.cache_bytes}; it must be from 0 to {_LARGEST_CACHE}")
    if limits.wait_s is not None and not 0 <= limits.wait_s <= 60:
        raise Malformed(f"limits.wait_s is {limits.wait_s}; it must be from 0 to 60 seconds")
    if limits.batch_rows and limits.queue_rows and limits.queue_rows < limits.batch_rows:
        raise Malformed(
            f"limits.queue_rows is {limits.queue_rows}, so a batch of {limits.batch_rows} would never be full"
        )
    return limits


def _targets(session: Session, project: str, model: str, wishes: Sequence[Wish]) -> list[TargetRow]:
    if len(wishes) > _MOST_TARGETS:
        raise Malformed(f"a deployment has at most {_MOST_TARGETS} targets, not {len(wishes)}")
    rows, numbers = [], set()
    for place, wish in enumerate(wishes):
        if wish.version is not None and wish.alias is not None:
            raise Malformed("a target names a version or an alias, not both")
        if not 1 <= wish.weight <= _HEAVIEST:
            raise Malformed(f"a target's weight is a whole number from 1 to {_HEAVIEST:,}, not {wish.weight}")
        ref = ModelRef(model, version=wish.version, alias=wish.alias)
        version = find_active_version(session, project, ref).version
        if version in numbers:
            raise Malformed(
                f"version {version} is named twice; give it one target with the sum of the weights"
            )
        numbers.add(version)
        named = {"alias": wish.alias} if wish.alias is not None else {"version": version}
        rows.append(TargetRow(project=project, model=model, place=place, weight=wish.weight, **named))
    return rows
