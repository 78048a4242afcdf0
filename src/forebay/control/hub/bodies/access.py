"""Projects and keys."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.access import KeyRecord, Role
from forebay.control.hub.bodies.base import Asked, Told
from forebay.core import Permission, Principal

_SINCE = "2026-01-31T09:30:00Z"
_KEY: JsonDict = {
    "id": "0a1b2c3d",
    "name": "the shop's backend",
    "role": "inference",
    "project": "default",
    "models": ["digits"],
    "created_at": _SINCE,
}


class Me(Told):
    """Who the key says the caller is, and where to ask for predictions (null while no node is alive)."""

    key_id: str
    project: str
    permissions: list[Permission]
    models: list[str] | None
    inference_url: str | None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key_id": "0a1b2c3d",
                    "project": "default",
                    "permissions": ["predict"],
                    "models": ["digits"],
                    "inference_url": "http://127.0.0.1:8000",
                }
            ]
        }
    )

    @classmethod
    def of(cls, who: Principal, inference_url: str | None) -> Me:
        """The caller *who*."""
        return cls(
            key_id=who.key_id,
            project=who.project,
            permissions=sorted(who.permissions),
            models=None if who.models is None else sorted(who.models),
            inference_url=inference_url,
        )


class NewProject(Asked):
    """A project to make."""

    name: str = Field(description="a-z, 0-9, '.', '_' and '-', at most 63.", examples=["lab"])


class Project(Told):
    """A tenant."""

    name: str = Field(examples=["lab"])
    created_at: datetime = Field(examples=[_SINCE])


class Projects(Told):
    """The projects that the caller may see."""

    items: list[Project]


class NewKey(Asked):
    """A key to make. Without `models` it is good for all models of the project."""

    role: Role
    name: str = ""
    models: list[str] | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"role": "inference", "name": "the shop's backend", "models": ["digits"]},
                {"role": "developer", "name": "ada's laptop"},
            ]
        }
    )


class Key(Told):
    """A key, without its secret."""

    id: str
    name: str
    role: str
    project: str
    models: list[str] | None
    created_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})


class Keys(Told):
    """The live keys of a project."""

    items: list[Key]


class FreshKey(Key):
    """A new key. The secret is shown here and never again."""

    secret: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [_KEY | {"secret": "fb-0a1b2c3d-5Q0yUoE9mQe1v0lF1yRzVw3kH8nXc2bTj6sGd4aPiLk"}]
        }
    )

    @classmethod
    def of(cls, record: KeyRecord, secret: str) -> FreshKey:
        """The key that *record* describes, and its *secret*."""
        return cls(**Key.model_validate(record).model_dump(), secret=secret)
