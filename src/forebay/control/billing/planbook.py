"""Which plan holds for a project, and since when: written down once, and never changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from forebay.control.billing.months import Month
from forebay.control.billing.plans import DEFAULT_PLAN, Plan, checked
from forebay.control.billing.tables import InvoiceRow, PlanRow, PlanUseRow
from forebay.control.store import Database, Deed, record_deed
from forebay.core.errors import Conflict, NotFound

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """What a plan says from `holds_from` on, until its next version does."""

    plan: Plan
    version: int
    holds_from: datetime


@dataclass(frozen=True, slots=True)
class PlanUse:
    """From `holds_from` on, `plan` holds for a project."""

    project: str
    plan: str
    holds_from: datetime


class Stretch(NamedTuple):
    """A part of a month in which one version of one plan holds; *share* of the month's length."""

    said: PlanVersion
    since: datetime
    until: datetime
    share: Fraction


class PlanBook:
    """The plans of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plans(self) -> list[PlanVersion]:
        """Every version of every plan, by name and age."""
        with self._database.read() as session:
            return _versions(session)

    def plan(self, name: str) -> PlanVersion:
        """The latest version of a plan, whether it holds already or not; raises `NotFound`."""
        with self._database.read() as session:
            return _latest(session, name)

    def create(self, plan: Plan, key_id: str, holds_from: datetime | None = None) -> PlanVersion:
        """A new plan, or the next version of one; by default it holds from this hour on, a first one always.

        Raises `Malformed`, and `Conflict` for a version that would begin before the one that it follows.
        """
        checked(plan)
        with self._database.write() as session:
            before = session.scalars(_of(plan.name)).all()
            since = holds_from or (_this_hour() if before else BEGINNING)
            if before and since < before[-1].holds_from:
                raise Conflict(
                    f"version {before[-1].version} of {plan.name} begins at "
                    f"{before[-1].holds_from.isoformat()}; let the next begin then, or later"
                )
            if before:
                _refuse_closed(session, since)
            row = PlanRow(
                name=plan.name,
                version=len(before) + 1,
                holds_from=since,
                terms=msgspec.json.encode(plan).decode(),
                made_by=key_id,
                made_at=datetime.now(UTC),
            )
            session.add(row)
            detail = {"version": str(row.version), "holds_from": since.isoformat()}
            record_deed(session, Deed("", key_id, "plan.created", plan.name, detail), instead=True)
        return PlanVersion(plan, row.version, since)

    def use(self, project: str, name: str, key_id: str, holds_from: datetime | None = None) -> PlanUse:
        """Let a plan hold for *project*, by default from this hour on; raises `NotFound`, `Conflict`."""
        since = holds_from or _this_hour()
        with self._database.write() as session:
            first = _latest(session, name, oldest=True)
            if first.holds_from > since:
                raise Conflict(
                    f"the plan {name} begins at {first.holds_from.isoformat()}; use it from then on"
                )
            _refuse_closed(session, since, project)
            session.add(
                PlanUseRow(
                    project=project, plan=name, holds_from=since, made_by=key_id, made_at=datetime.now(UTC)
                )
            )
            detail = {"plan": name, "holds_from": since.isoformat()}
            record_deed(session, Deed(project, key_id, "plan.used", project, detail), instead=True)
        return PlanUse(project, name, since)

    def uses(self, project: str) -> list[PlanUse]:
        """What has been said of *project*, by when it holds."""
        with self._database.read() as session:
            return [PlanUse(project, row.plan, row.holds_from) for row in _uses(session, project)]


class Terms:
    """What holds for one project at any time, as one session sees it."""

    def __init__(self, session: Session, project: str, instead: PlanVersion | None = None) -> None:
        """With *instead*, that one plan holds always, to see what it would have cost."""
        self._instead = instead
        self._uses = [] if instead else _uses(session, project)
        self._versions: defaultdict[str, list[PlanVersion]] = defaultdict(list)
        for found in [] if instead else _versions(session):
            self._versions[found.plan.name].append(found)

    @property
    def begin(self) -> datetime | None:
        """When a plan was first chosen for the project; None if never."""
        return self._uses[0].holds_from if self._uses else None

    def at(self, moment: datetime) -> PlanVersion:
        """What holds at *moment*."""
        if self._instead is not None:
            return self._instead
        name = next((use.plan for use in reversed(self._uses) if use.holds_from <= moment), DEFAULT_PLAN.name)
        versions = self._versions[name]
        return next((one for one in reversed(versions) if one.holds_from <= moment), versions[0])

    def stretches(self, month: Month) -> Iterator[Stretch]:
        """The parts of *month*, in which something else holds than in the one before."""
        start, end = month.start, month.end
        changes = {use.holds_from for use in self._uses}
        changes |= {one.holds_from for versions in self._versions.values() for one in versions}
        said, since = self.at(start), start
        for moment in [*sorted(change for change in changes if start < change < end), end]:
            if moment < end and self.at(moment) == said:
                continue
            yield Stretch(said, since, moment, _share(moment - since, end - start))
            said, since = self.at(moment), moment


def _refuse_closed(session: Session, since: datetime, project: str | None = None) -> None:
    """Raise `Conflict` where an invoice, that nobody took back, has usage from *since* on."""
    taken_back = select(InvoiceRow.counters).where(InvoiceRow.counters.is_not(None))
    found = select(InvoiceRow).where(
        InvoiceRow.period_end > since,
        InvoiceRow.counters.is_(None),
        InvoiceRow.number.not_in(taken_back),
        *([] if project is None else [InvoiceRow.project == project]),
    )
    row = session.scalar(found.order_by(InvoiceRow.number).limit(1))
    if row is not None:
        raise Conflict(
            f"the month {row.month} of {row.project} is closed by the invoice {row.number}; choose a time "
            f"from {row.period_end.isoformat()} on, or take that invoice back"
        )


def _share(part: timedelta, whole: timedelta) -> Fraction:
    tick = timedelta(microseconds=1)
    return Fraction(part // tick, whole // tick)


def _this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _versions(session: Session) -> list[PlanVersion]:
    rows = session.scalars(select(PlanRow).order_by(PlanRow.name, PlanRow.version))
    return [_as_version(row) for row in rows]


def _of(name: str) -> Select[PlanRow]:
    return select(PlanRow).where(PlanRow.name == name).order_by(PlanRow.version)


def _latest(session: Session, name: str, *, oldest: bool = False) -> PlanVersion:
    rows = session.scalars(_of(name)).all()
    if not rows:
        raise NotFound(f"there is no plan {name[:80]!r}; `forebay plans` lists those that there are")
    return _as_version(rows[0 if oldest else -1])


def _as_version(row: PlanRow) -> PlanVersion:
    return PlanVersion(msgspec.json.decode(row.terms, type=Plan), row.version, row.holds_from)


def _uses(session: Session, project: str) -> list[PlanUseRow]:
    found = select(PlanUseRow).where(PlanUseRow.project == project)
    return list(session.scalars(found.order_by(PlanUseRow.holds_from, PlanUseRow.number)))
