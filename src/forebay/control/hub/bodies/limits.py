"""What calls may take."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.billing import LimitRecord
from forebay.control.hub.bodies.base import Asked, Told

_LIMIT: JsonDict = {
    "id": "3f9a1c2d4e5b",
    "project": "default",
    "unit": "row",
    "amount": 5000,
    "period": "minute",
    "model": "digits",
    "key_id": "",
    "by_platform": False,
    "set_by": "0a1b2c3d",
    "set_at": "2026-11-22T09:30:00Z",
}


class LimitBody(Asked):
    """At most `amount` of `unit` (request, row, byte, concurrent) in any `period` (second, minute, day).

    `concurrent` has no period. With `model` or `key_id`, only that model's or that key's calls count.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"unit": "row", "amount": 5000, "period": "minute", "model": "digits"},
                {"unit": "concurrent", "amount": 8},
            ]
        }
    )

    unit: str
    amount: int = Field(strict=True)
    period: str = ""
    model: str = ""
    key_id: str = ""


class LimitAnswer(Told):
    """A limit; one that is `by_platform` was set by an operator, and only an operator changes it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LIMIT]})

    id: str
    project: str
    unit: str
    amount: int
    period: str
    model: str
    key_id: str
    by_platform: bool
    set_by: str
    set_at: datetime

    @classmethod
    def of(cls, record: LimitRecord) -> LimitAnswer:
        """As the API shows *record*."""
        limit = record.limit
        return cls(
            id=limit.id,
            project=limit.project,
            unit=limit.unit,
            amount=limit.amount,
            period=record.period,
            model=limit.model,
            key_id=limit.key_id,
            by_platform=record.by_platform,
            set_by=record.set_by,
            set_at=record.set_at,
        )


class LimitList(Told):
    """The limits of a project."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_LIMIT]}]})

    items: list[LimitAnswer]
