"""What models keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from forebay.client.door import Door
from forebay.client.results import Items, Keep, Version
from forebay.core import INFO_NAME, ArtifactInfo
from forebay.core.errors import Malformed, NotFound


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
        data: str | Path | None = None,
        of: int | None = None,
        target: str | None = None,
        slices: Sequence[str] = (),
        override: str | None = None,
    ) -> Keep:
        """Let *model* be served only by versions that prove *keep*, as in `accuracy>=-0.5`, from now on.

        The promise is relative to the version *of* (the newest that no compression made), and proved on the
        rows whose digest is *data* (those of the first proof). As a `Path`, *data* is a table, read as
        `hub.compress` reads it, with the same *target* and *slices* (those that the promise speaks of are
        among them). Once set, only a key that may changes it, and says why: *override*. Raises `Conflict`.
        """
        if isinstance(data, Path):
            original = self._original(model, of)
            data = digest_of(self._info(original), original, keep, data, target, slices)
            of = original.version
        elif target is not None or slices:
            raise Malformed("a target and slices are about a table; give its file as data")
        asked = {"keep": keep, "data": data, "of": of, "override": override}
        body = {name: said for name, said in asked.items() if said is not None}
        return self._door.ask("PUT", f"{self._models}/{model}/keep", Keep, json=body)

    def clear(self, model: str, override: str) -> None:
        """Hold *model* to nothing any more; *override* says why. Needs a key that may."""
        self._door.send("DELETE", f"{self._models}/{model}/keep", query={"override": override})

    def _original(self, model: str, of: int | None) -> Version:
        """The version that a promise is relative to, as the hub would choose it; raises `NotFound`."""
        if of is None:
            try:
                of = self(model).of
            except NotFound:
                of = _newest_original(
                    self._door.ask("GET", f"{self._models}/{model}/versions", Items[Version])
                )
        return self._door.ask("GET", f"{self._models}/{model}/versions/{of}", Version)

    def _info(self, version: Version) -> ArtifactInfo:
        address = f"{self._models}/{version.model}/versions/{version.version}/files/{INFO_NAME}"
        return ArtifactInfo.decode(self._door.send("GET", address).content)


def digest_of(
    info: ArtifactInfo, original: Version, keep: str, file: Path, target: str | None, slices: Sequence[str]
) -> str:
    """The digest that evidence would have of the rows in *file*; raises `Malformed`."""
    from forebay.workshop.compress import rows_of_table  # noqa: PLC0415 (not before it is needed)
    from forebay.workshop.compress.keep import parse  # noqa: PLC0415
    from forebay.workshop.train import read  # noqa: PLC0415

    promises = parse(keep)
    named = {promise.where[0] for promise in promises if promise.where} - {"class"}
    if target is None and any(promise.about.labelled for promise in promises):
        target = _trained_for(original)
    data = read(file, target)
    columns = {series.name: series.to_numpy() for series in data.frame}
    return rows_of_table(info, columns, target=data.target, slices=sorted({*slices, *named})).digest


def _newest_original(versions: Items[Version]) -> int:
    for version in reversed(versions.items):
        compressed = any(entry.get("kind") == "compression" for entry in version.evidence)
        if version.state == "active" and not compressed:
            return version.version
    raise NotFound("no active version is an original; say which version the promise is relative to")


def _trained_for(version: Version) -> str:
    """The column of the right answers, as its training knew it."""
    for part in ("recipe", "data"):
        told = version.lineage.get(part)
        if isinstance(told, dict) and told.get("target"):
            return str(told["target"])
    raise Malformed(f"which column of the data has the right answers for {version}? name it as the target")
