"""How much a project's calls may take: by key, by model, or together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from forebay.control.billing.tables import LeaseRow, LimitRow
from forebay.control.store import Database, Deed, bump, record_deed
from forebay.core import LIMIT_UNITS, PERIODS_S, CallLimit
from forebay.core.errors import Forbidden, Malformed, NotFound

_MOST = 2**53  # what JSON's readers take for a whole number
_PERIODS: Mapping[int, str] = {length_s: name for name, length_s in PERIODS_S.items()}


@dataclass(frozen=True, slots=True)
class LimitRecord:
    """A limit, and who set it when; `period` is `second`, `minute`, `day`, or empty for `concurrent`."""

    limit: CallLimit
    period: str
    by_platform: bool
    set_by: str
    set_at: datetime


class CallLimits:
    """Every project's limits, in one database. Whoever names a project or a key has seen that it exists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, project: str) -> list[LimitRecord]:
        """The limits of *project*, those of the whole project first."""
        with self._database.read() as session:
            wanted = select(LimitRow).where(LimitRow.project == project)
            order = (LimitRow.model, LimitRow.key_id, LimitRow.unit, LimitRow.period_s)
            return [_record(row) for row in session.scalars(wanted.order_by(*order))]

    def set(
        self,
        project: str,
        unit: str,
        amount: int,
        who: str,
        *,
        period: str = "",
        key_id: str = "",
        model: str = "",
        by_platform: bool = False,
    ) -> LimitRecord:
        """Let calls take at most *amount*, from now on; one of the same unit, period and scope is replaced.

        One that is *by_platform* stands beside the project's own. Raises `Malformed`.
        """
        _check(unit, period, amount)
        period_s = PERIODS_S.get(period, 0)
        row = LimitRow(
            id=_id_of(project, unit, period, key_id, model, "platform" if by_platform else ""),
            project=project,
            unit=unit,
            amount=amount,
            period_s=period_s,
            key_id=key_id,
            model=model,
            by_platform=by_platform,
            set_by=who,
            set_at=datetime.now(UTC),
        )
        record = _record(row)
        with self._database.write() as session:
            session.merge(row)
            _tell(session, who, "limit.set", record.limit)
            bump(session)
        return record

    def remove(self, project: str, limit_id: str, who: str, *, by_platform: bool = False) -> None:
        """Limit this no more; raises `NotFound`, and `Forbidden` for what only the platform may remove."""
        with self._database.write() as session:
            row = session.get(LimitRow, limit_id)
            if row is None or row.project != project:
                raise NotFound(f"there is no limit {limit_id[:40]!r}; `forebay limits` lists those there are")
            if row.by_platform and not by_platform:
                raise Forbidden("an operator has set this limit, and only an operator removes it")
            session.execute(delete(LeaseRow).where(LeaseRow.limit_id == limit_id))
            _tell(session, who, "limit.removed", limit_of(row))
            session.delete(row)
            bump(session)


def limits_for_nodes(session: Session) -> tuple[CallLimit, ...]:
    """Every limit, in a fixed order."""
    return tuple(limit_of(row) for row in session.scalars(select(LimitRow).order_by(LimitRow.id)))


def limit_of(row: LimitRow) -> CallLimit:
    """What a node has to know of a limit."""
    return CallLimit(row.id, row.project, row.unit, row.amount, row.period_s, row.key_id, row.model)


def _check(unit: str, period: str, amount: int) -> None:
    if unit not in LIMIT_UNITS:
        raise Malformed(f"{unit[:40]!r} cannot be limited; there are {', '.join(LIMIT_UNITS)}")
    if unit == "concurrent" and period:
        raise Malformed("calls at once have no period; write concurrent=8")
    if unit != "concurrent" and period not in PERIODS_S:
        raise Malformed(f"a limit of {unit}s is by the {', '.join(PERIODS_S)}; write {unit}=100/minute")
    if not 1 <= amount <= _MOST:
        raise Malformed("a limit is a whole number from 1 on; to let nobody in, revoke keys or undeploy")


def _id_of(*scope: str) -> str:
    return hashlib.sha256("\0".join(scope).encode()).hexdigest()[:12]


def _record(row: LimitRow) -> LimitRecord:
    return LimitRecord(limit_of(row), _PERIODS.get(row.period_s, ""), row.by_platform, row.set_by, row.set_at)


def _tell(session: Session, who: str, action: str, limit: CallLimit) -> None:
    said = {"limit": str(limit), "model": limit.model, "key": limit.key_id}
    record_deed(session, Deed(limit.project, who, action, limit.id, said), instead=True)
