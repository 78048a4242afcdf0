"""Keys and projects."""

from __future__ import annotations

from collections.abc import Iterable

from forebay.client.door import Door
from forebay.client.results import Items, Key, NewKey, Project
from forebay.client.shown import Listing


class KeysOf:
    """`hub.keys`: the keys of one project."""

    def __init__(self, door: Door, project: str) -> None:
        self._door = door
        self._address = f"/api/v1/projects/{project}/keys"

    def __call__(self) -> Listing[Key]:
        """The keys that are valid now, without their secrets."""
        return Listing(self._door.ask("GET", self._address, Items[Key]).items)

    def create(
        self, name: str = "", *, role: str = "inference", models: Iterable[str] | None = None
    ) -> NewKey:
        """A new key: `role` is inference, developer, coder or admin; `models` limits what it may ask."""
        body: dict[str, object] = {"name": name, "role": role}
        if models is not None:
            body["models"] = list(models)
        return self._door.ask("POST", self._address, NewKey, json=body)

    def revoke(self, key_id: str) -> None:
        """Refuse the key from now on, everywhere within a second; raises `NotFound`."""
        self._door.send("DELETE", f"{self._address}/{key_id}")


class ProjectsOf:
    """`hub.projects`: the tenants of the hub."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def __call__(self) -> Listing[Project]:
        """The projects that this key may see."""
        return Listing(self._door.ask("GET", "/api/v1/projects", Items[Project]).items)

    def create(self, name: str) -> Project:
        """A new project; raises `Conflict` if there is one of this name."""
        return self._door.ask("POST", "/api/v1/projects", Project, json={"name": name})
