"""What all bodies have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Asked(BaseModel):
    """A body that a caller sends; a field that nobody knows is an error, because it would be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Told(BaseModel):
    """A body that a caller gets; filled from attributes of the same names."""

    model_config = ConfigDict(from_attributes=True, frozen=True)
