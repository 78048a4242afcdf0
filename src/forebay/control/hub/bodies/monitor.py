"""Whether the hub is there."""

from __future__ import annotations

from pydantic import Field

from forebay.control.hub.bodies.base import Told


class Health(Told):
    """The hub answers, and which release it is."""

    status: str = Field(examples=["ok"])
    release: str = Field(examples=["0.1.0"])
