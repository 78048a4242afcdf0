"""What a model keeps, and who did what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.hub.bodies.base import Asked, Told
from forebay.control.registry import KeepRecord

_DATA = "5d41402abc4b2a76b9719d911017c592ae3f1c1d5f0b7a2c8e6d4f9b0a1c2e3f"
_TIME = "2026-11-22T09:30:00Z"
_KEEP: JsonDict = {
    "project": "default",
    "model": "digits",
    "promises": ["accuracy>=-0.5", "recall[class=8]>=-1"],
    "data": _DATA,
    "of": 1,
    "protected": ["champion"],
    "set_by": "0a1b2c3d",
    "set_at": _TIME,
    "notes": [],
}
_DEED: JsonDict = {
    "number": 7,
    "time": _TIME,
    "project": "default",
    "who": "0a1b2c3d",
    "origin": "192.0.2.7",
    "outcome": "done",
    "action": "gate.overridden",
    "subject": "digits:2",
    "detail": {
        "refusal": "the deployment 'digits' refuses version 2 of 'digits': accuracy lost 0.8 points, "
        "0.5 are allowed",
        "reason": "for the fair on Saturday, version 1 is too slow",
    },
    "hash": "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
}


class KeepBody(Asked):
    """What a model is to keep, as text; on which data, and against which version, that is proved.

    Without `data` the first proof says it, without `of` it is the newest version that no compression made.
    Once set, only an `override`, with its reason, changes it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"keep": "accuracy>=-0.5, recall[class=8]>=-1"},
                {"keep": "accuracy>=-1", "data": _DATA, "of": 1, "override": "half a point needs more rows"},
            ]
        }
    )

    keep: str
    data: str | None = Field(default=None, description="The SHA-256 that evidence has as `data_digest`.")
    of: int | None = Field(default=None, ge=1, strict=True)
    override: str | None = None


class KeepAnswer(Told):
    """What a model keeps: `promises` against the version `of`, proved on `data` (empty until a first proof).

    `protected` are the aliases that it guards; `notes` has a sentence for each version that answers already
    without proof, and goes on.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_KEEP]})

    project: str
    model: str
    promises: list[str]
    data: str
    of: int
    protected: list[str]
    set_by: str
    set_at: datetime
    notes: list[str]

    @classmethod
    def of_record(cls, record: KeepRecord, notes: Sequence[str]) -> KeepAnswer:
        """As the API shows *record*."""
        return cls(
            project=record.project,
            model=record.model,
            promises=[promise.text for promise in record.promises],
            data=record.data,
            of=record.reference,
            protected=list(record.protected),
            set_by=record.set_by,
            set_at=record.set_at,
            notes=list(notes),
        )


class AuditAnswer(Told):
    """One deed: `who` (a key's id) did `action` to `subject` from `origin`; `detail` says why.

    `hash` is the SHA-256 over this deed and the hash of the one before it.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_DEED]})

    number: int
    time: datetime
    project: str
    who: str
    origin: str
    action: str
    subject: str
    outcome: str
    detail: dict[str, str]
    hash: str


class AuditList(Told):
    """Deeds, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_DEED]}]})

    items: list[AuditAnswer]


class AuditVerification(Told):
    """How many deeds were read, what is wrong with them, and the end of the chain."""

    deeds: int = Field(examples=[1204])
    faults: list[str] = Field(examples=[["deed 17 is not as it was written down"]])
    head: str = Field(
        description="To be noted elsewhere, and to be given back as `known`.", examples=["1204:b5bb9d80"]
    )
