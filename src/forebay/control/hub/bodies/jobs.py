"""Jobs, and what they are asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.hub.bodies.base import Asked, Told
from forebay.control.jobs import State

_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_TIME = "2026-11-22T09:30:00Z"
_TRAIN: JsonDict = {
    "kind": "train",
    "request": {
        "data": {"sha256": _DIGEST, "format": "csv"},
        "target": "species",
        "name": "iris",
        "estimator": "auto",
        "time_budget_s": 120.0,
    },
}
_COMPRESS: JsonDict = {
    "kind": "compress",
    "request": {
        "model": "iris:1",
        "data": {"sha256": _DIGEST, "format": "parquet"},
        "target": "species",
        "keep": "accuracy>=-0.5",
        "goal": "latency",
        "time_budget_s": 600.0,
    },
}
_JOB: JsonDict = {
    "id": "job-5f0c0ffee5f0c0ff",
    "project": "default",
    "kind": "train",
    "state": "succeeded",
    "step": "register",
    "created_at": _TIME,
    "started_at": _TIME,
    "finished_at": _TIME,
    "request": _TRAIN["request"],
    "result": {"model": "iris", "version": 1, "digest": _DIGEST},
    "progress": 1.0,
    "key_id": "0a1b2c3d",
}
EVENT_STREAM = (
    'id: 1\ndata: {"seq":1,"time":"2026-11-22T09:30:00Z","kind":"state","state":"queued"}\n\n'
    'id: 2\ndata: {"seq":2,"time":"2026-11-22T09:30:01Z","kind":"progress","step":"choose","fraction":0.5,'
    '"progress":0.35,"text":"random-forest, fold 3 of 5: macro_f1 0.9721"}\n\n'
)


class JobBody(Asked):
    """Work to do: `train`, `compress`, `publish` or `script`, and what that kind asks for."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TRAIN, _COMPRESS]})

    kind: str
    request: dict[str, Any]


class FileBody(Asked):
    """A file that has been uploaded as a blob, and its path in the artifact."""

    path: str
    size_bytes: int = Field(ge=0, strict=True)
    sha256: str


class ManifestBody(Asked):
    """The files of an artifact."""

    files: list[FileBody]


class PublishBody(Asked):
    """An artifact to check and register as the next version, and what is said about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "manifest": {
                        "files": [
                            {"path": "forebay.json", "size_bytes": 412, "sha256": _DIGEST},
                            {"path": "model.onnx", "size_bytes": 48_120, "sha256": _DIGEST},
                        ]
                    },
                    "card": "# Digits\nReads handwritten digits.",
                    "lineage": {"source": "notebook 7"},
                    "evidence": [{"kind": "score", "metrics": {"accuracy": 0.97}, "rows": 360}],
                }
            ]
        }
    )

    manifest: ManifestBody
    card: str = ""
    lineage: dict[str, Any] = Field(default_factory=dict)
    evidence: list[dict[str, Any]] = Field(default_factory=list)


class JobAnswer(Told):
    """A job as it is now. `progress` is a share of the whole; `result` is there once it succeeded."""

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})

    id: str
    project: str
    kind: str
    state: State
    step: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    request: dict[str, Any]
    result: dict[str, Any] | None = None
    error: str | None = None
    progress: float | None
    key_id: str


class JobList(Told):
    """Jobs, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_JOB]}]})

    items: list[JobAnswer]
