"""Usage: added up, and event by event."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.billing import Entry, Line, Summary, Use
from forebay.control.hub.bodies.base import Told

_USE: JsonDict = {
    "requests": 120,
    "rows": 960,
    "request_bytes": 245_760,
    "response_bytes": 61_440,
    "compute_s": 0.018,
    "cached": 0,
    "cached_rows": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "audio_s": 0.0,
    "energy_j": 0.0,
}


class Used(Told):
    """Usage, and what it costs exactly."""

    requests: int
    rows: int
    request_bytes: int
    response_bytes: int
    compute_s: float
    cached: int
    cached_rows: int
    input_tokens: int
    output_tokens: int
    audio_s: float
    energy_j: float
    cost: Decimal


class UsedBy(Used):
    """The usage of one group: a model, a key's id, `model:version`, or a day (UTC)."""

    group: str

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"group": "digits", **_USE, "cost": "0.0216036"}]}
    )

    @classmethod
    def of(cls, line: Line) -> UsedBy:
        """One line of a summary."""
        return cls(group=line.group, cost=line.cost, **_use(line.use))


class UsedInAll(Used):
    """All of it; `amount` is the cost rounded as the plan says."""

    amount: Decimal

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_USE, "cost": "0.0216036", "amount": "0.02"}]}
    )


class SumAnswer(Told):
    """What usage cost in another currency."""

    currency: str = Field(examples=["USD"])
    cost: Decimal = Field(examples=["1.205"])
    amount: Decimal = Field(examples=["1.21"])


class Usage(Told):
    """A project's usage. The items' costs add up to the total's exactly; `plan` is the last one that held."""

    items: list[UsedBy]
    total: UsedInAll
    currency: str = Field(examples=["EUR"])
    plan: str = Field(examples=["default"])
    others: list[SumAnswer] = Field(description="What was used under plans of other currencies.")

    @classmethod
    def of(cls, summary: Summary) -> Usage:
        """A summary, as it is shown."""
        total = UsedInAll(cost=summary.cost, amount=summary.amount, **_use(summary.total))
        items = [UsedBy.of(line) for line in summary.lines]
        others = [SumAnswer.model_validate(other) for other in summary.others]
        plan = summary.plan
        return cls(items=items, total=total, currency=plan.currency, plan=plan.name, others=others)


class UsageEvent(Told):
    """One answered request as its node counted it. `id` is the same wherever the event is stored."""

    id: str
    number: int
    time: datetime
    time_ns: int
    key_id: str
    model: str
    version: int
    protocol: str
    operation: str
    rows: int
    request_bytes: int
    response_bytes: int
    queue_ns: int
    compute_ns: int
    wall_ns: int
    request_id: str
    cached: bool
    input_tokens: int
    output_tokens: int
    audio_ms: int
    energy_uj: int
    device: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "node-1-0-5f2a-17",
                    "number": 42,
                    "time": "2026-01-31T09:30:00.123456Z",
                    "time_ns": 1_769_851_800_123_456_789,
                    "key_id": "0a1b2c3d",
                    "model": "digits",
                    "version": 1,
                    "protocol": "oip",
                    "operation": "infer",
                    "rows": 8,
                    "request_bytes": 2048,
                    "response_bytes": 512,
                    "queue_ns": 180_000,
                    "compute_ns": 150_000,
                    "wall_ns": 610_000,
                    "request_id": "7c1e",
                    "cached": False,
                    "input_tokens": 0,
                    "output_tokens": 0,
                    "audio_ms": 0,
                    "energy_uj": 0,
                    "device": "cpu",
                }
            ]
        }
    )

    @classmethod
    def of(cls, entry: Entry) -> UsageEvent:
        """An event as the ledger keeps it."""
        counted = msgspec.structs.asdict(entry.event)
        seconds, rest_ns = divmod(entry.event.time_ns, 10**9)
        time = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
        return cls(id=f"{entry.journal}-{entry.seq}", number=entry.number, time=time, **counted)


class UsageEvents(Told):
    """Events in their order of arrival; ask again with `after` for those behind them."""

    items: list[UsageEvent]
    after: int = Field(
        description="The number of the last event here, to ask for the next with.", examples=[42]
    )


class Gap(Told):
    """Events of a journal that its node never delivered."""

    journal: str = Field(examples=["node-1-0-5f2a"])
    node: str = Field(examples=["node-1"])
    first_seq: int = Field(examples=[17])
    missing: int = Field(examples=[3])
    noticed_at: datetime = Field(examples=["2026-01-31T09:30:00Z"])


class Gaps(Told):
    """Everything that is missing; empty as it should be."""

    items: list[Gap]


class Verification(Told):
    """What reading the whole ledger gave: `faults` is empty as it should be."""

    blocks: int = Field(examples=[1200])
    events: int = Field(examples=[9_830_400])
    faults: list[str] = Field(examples=[[]])


def _use(use: Use) -> dict[str, Any]:
    return {
        "requests": use.requests,
        "rows": use.rows,
        "request_bytes": use.request_bytes,
        "response_bytes": use.response_bytes,
        "compute_s": use.compute_ns / 1e9,
        "cached": use.cached,
        "cached_rows": use.cached_rows,
        "input_tokens": use.input_tokens,
        "output_tokens": use.output_tokens,
        "audio_s": use.audio_ms / 1e3,
        "energy_j": use.energy_uj / 1e6,
    }
