"""What models keep."""

from __future__ import annotations

from forebay.client.door import Door
from forebay.client.results import Keep


class KeepsOf:
    """`hub.keeps`: the promises of the models of one project."""

    def __init__(self, door: Door, project: str) -> None:
        self._door = door
        self._models = f"/api/v1/projects/{project}/models"

    def __call__(self, model: str) -> Keep:
        """What *model* keeps, and what answers already without proof; raises `NotFound`."""
        return self._door.ask("GET", f"{self._models}/{model}/keep", Keep)

    def set(
        self,
        model: str,
        keep: str,
        *,
        data: str | None = None,
        of: int | None = None,
        override: str | None = None,
    ) -> Keep:
        """Let *model* be served only by versions that prove *keep*, as in `accuracy>=-0.5`, from now on.

        The promise is relative to the version *of* (the newest that no compression made), and proved on the
        rows whose digest is *data* (those of the first proof). Once set, only a key that may changes it, and
        says why: *override*. Raises `Conflict`.
        """
        asked = {"keep": keep, "data": data, "of": of, "override": override}
        body = {name: said for name, said in asked.items() if said is not None}
        return self._door.ask("PUT", f"{self._models}/{model}/keep", Keep, json=body)

    def clear(self, model: str, override: str) -> None:
        """Hold *model* to nothing any more; *override* says why. Needs a key that may."""
        self._door.send("DELETE", f"{self._models}/{model}/keep", query={"override": override})
