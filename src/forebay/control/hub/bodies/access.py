"""Projects and keys."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.access import KeyRecord, KeyScope, Role
from forebay.control.hub.bodies.base import Asked, Told
from forebay.core import Permission, Principal

_SINCE = "2026-01-31T09:30:00Z"
_KEY: JsonDict = {
    "id": "0a1b2c3d",
    "name": "the shop's backend",
    "role": "inference",
    "project": "default",
    "models": ["digits"],
    "actions": ["predict"],
    "protocols": ["oip", "rows"],
    "networks": ["10.0.0.0/8"],
    "created_at": _SINCE,
    "expires_at": "2026-12-31T00:00:00Z",
    "rotated_at": "2026-06-30T12:00:00Z",
    "used_at": "2026-07-01T08:15:00Z",
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
            models=None if who.bounds is None or who.bounds.models is None else list(who.bounds.models),
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
    """A key to make. What is left out stays open, as the role has it."""

    role: Role
    name: str = ""
    models: list[str] | None = Field(None, description="Names, or patterns such as `shop-*`.")
    actions: list[str] | None = Field(None, description="Some of what the role may do.")
    protocols: list[str] | None = Field(
        None, description="`api` is this hub's, `metrics` the nodes' page, the others are for predictions."
    )
    networks: list[str] | None = Field(None, description="Where it may be used from, as CIDR ranges.")
    expires_at: AwareDatetime | None = Field(None, description="From when on it is refused.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"role": "inference", "name": "the shop's backend", "models": ["digits"]},
                {"role": "developer", "name": "ada's laptop", "networks": ["10.0.0.0/8"]},
            ]
        }
    )

    def scope(self) -> KeyScope:
        """What narrows it beside its role."""
        return KeyScope(
            *(
                None if listed is None else tuple(listed)
                for listed in (self.models, self.actions, self.protocols, self.networks)
            )
        )


class Rotation(Asked):
    """How long the secret before the new one stays good; with 0 it is refused at once."""

    overlap_s: float = Field(86_400, ge=0, allow_inf_nan=False, description="Seconds.", examples=[3600])


class Key(Told):
    """A key, without its secret."""

    id: str
    name: str
    role: str
    project: str
    models: list[str] | None
    actions: list[str] | None
    protocols: list[str] | None
    networks: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    rotated_at: datetime | None
    used_at: datetime | None

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})


class Keys(Told):
    """The live keys of a project."""

    items: list[Key]


class FreshKey(Key):
    """A new key, or a new secret of one. The secret is shown here and never again."""

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
