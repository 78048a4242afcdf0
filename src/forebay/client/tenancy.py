"""Keys and projects."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from forebay.client.door import Door
from forebay.client.results import Items, Key, NewKey, Project
from forebay.client.shown import Listing
from forebay.core.errors import Malformed


class KeysOf:
    """`hub.keys`: the keys of one project."""

    def __init__(self, door: Door, project: str) -> None:
        self._door = door
        self._address = f"/api/v1/projects/{project}/keys"

    def __call__(self) -> Listing[Key]:
        """The keys that are valid now, without their secrets."""
        return Listing(self._door.ask("GET", self._address, Items[Key]).items)

    def create(
        self,
        name: str = "",
        *,
        role: str = "inference",
        models: Iterable[str] | None = None,
        actions: Iterable[str] | None = None,
        protocols: Iterable[str] | None = None,
        networks: Iterable[str] | None = None,
        expires: datetime | timedelta | None = None,
    ) -> NewKey:
        """A new key of a *role* (docs/access.md has them), narrowed to what is named.

        `models` are names or patterns (`shop-*`), `actions` some of what the role may do, `protocols` what
        it may speak, `networks` where it may come from (CIDR); it ends at *expires*, or after so long.
        """
        body: dict[str, object] = {"name": name, "role": role}
        narrowed = {"models": models, "actions": actions, "protocols": protocols, "networks": networks}
        body |= {what: list(listed) for what, listed in narrowed.items() if listed is not None}
        if expires is not None:
            body["expires_at"] = _moment(expires).isoformat()
        return self._door.ask("POST", self._address, NewKey, json=body)

    def rotate(self, key_id: str, *, overlap: timedelta = timedelta(days=1)) -> NewKey:
        """Another secret of the same key; the one before stays good for *overlap*. Raises `NotFound`."""
        body = {"overlap_s": overlap.total_seconds()}
        return self._door.ask("POST", f"{self._address}/{key_id}/rotate", NewKey, json=body)

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


def _moment(expires: datetime | timedelta) -> datetime:
    moment = datetime.now(UTC) + expires if isinstance(expires, timedelta) else expires
    if moment.tzinfo is None:
        raise Malformed(f"{moment.isoformat()} has no time zone; write it with one, as datetime.now(UTC) has")
    return moment
