"""Models, versions and aliases: registering, finding, naming and retiring them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from forebay.control.registry.lookup import (
    InUse,
    aliases_of,
    find_active_version,
    find_alias,
    find_model,
    find_version,
    hold_model,
    hold_or_make_model,
)
from forebay.control.registry.passing import Gate, Override, pass_gate, refuse
from forebay.control.registry.records import AliasRecord, ModelRecord, VersionRecord
from forebay.control.registry.rows import alias_record, as_json, model_record, version_record
from forebay.control.registry.tables import AliasRow, KeepRow, ModelRow, VersionRow
from forebay.control.store import Blobs, Database, bump
from forebay.core import ArtifactInfo, FileEntry, Manifest, ModelRef, checked_name
from forebay.core.errors import Conflict, Malformed, NotFound


class Registry:
    """Which bytes a name means, in one database and one store of blobs."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs
        self._in_use: list[InUse] = []

    def ask_before_removing(self, in_use: InUse) -> None:
        """Ask *in_use* from now on before a version is retired or an alias removed."""
        self._in_use.append(in_use)

    def register_version(
        self,
        project: str,
        model: str,
        manifest: Manifest,
        info: ArtifactInfo,
        card: str,
        lineage: dict[str, Any],
        evidence: list[dict[str, Any]],
        job_id: str,
    ) -> VersionRecord:
        """The next version of *model*, which is made if there is none of that name.

        A job that registers again gets the version it has already. Another job gets a new number, even
        for the same bytes: it has its own card, lineage and evidence. Raises `Malformed` when a file of
        the manifest has not been uploaded, or a value is none that JSON has.
        """
        checked_name(model)
        row = VersionRow(
            project=project,
            model=model,
            artifact=manifest.digest,
            manifest=manifest.encode().decode(),
            info=info.encode().decode(),
            card=card,
            lineage=as_json(lineage, "lineage"),
            evidence=as_json(evidence, "evidence"),
            job_id=job_id,
        )
        self._claim_files(manifest)
        with self._database.write() as session:
            return version_record(_numbered(session, row), aliases_of(session, project, model))

    def models(self, project: str) -> list[ModelRecord]:
        """Every model of *project*, by name."""
        with self._database.read() as session:
            rows = session.scalars(select(ModelRow).where(ModelRow.project == project)).all()
            return [_model(session, row) for row in sorted(rows, key=lambda row: row.name)]

    def model(self, project: str, model: str) -> ModelRecord:
        """One model; raises `NotFound`."""
        with self._database.read() as session:
            return _model(session, find_model(session, project, model))

    def versions(self, project: str, model: str) -> list[VersionRecord]:
        """Every version of *model*, oldest first, retired ones too; raises `NotFound`."""
        with self._database.read() as session:
            find_model(session, project, model)
            mine = (VersionRow.project == project, VersionRow.model == model)
            rows = session.scalars(select(VersionRow).where(*mine).order_by(VersionRow.version)).all()
            aliases = aliases_of(session, project, model)
            return [version_record(row, aliases) for row in rows]

    def version(self, project: str, ref: ModelRef) -> VersionRecord:
        """What *ref* means now: that version, the alias's, or the newest active one; raises `NotFound`."""
        with self._database.read() as session:
            row = find_version(session, project, ref)
            return version_record(row, aliases_of(session, project, ref.model))

    def retire(self, project: str, model: str, version: int) -> None:
        """Answer with this version no more; its number stays taken, and its files may be collected.

        Raises `Conflict` while an alias names it or somebody works with it, `NotFound` if there is none.
        Retiring it again changes nothing.
        """
        with self._database.write() as session:
            hold_model(session, project, model)
            row = find_version(session, project, ModelRef(model, version=version))
            aliases = aliases_of(session, project, model)
            users = [f"the alias {alias.name!r}" for alias in aliases if alias.version == version]
            keep = session.get(KeepRow, (project, model))
            if keep is not None and keep.reference == version:
                users.append(f"the promise of {model!r}, which is relative to it")
            for in_use in self._in_use:
                users += in_use.users_of_version(session, project, model, version)
            _refuse_while_used(f"version {version} of {model!r}", users)
            row.retired_at = row.retired_at or datetime.now(UTC)

    def aliases(self, project: str, model: str) -> list[AliasRecord]:
        """Every alias of *model*, by name; raises `NotFound`."""
        with self._database.read() as session:
            find_model(session, project, model)
            rows = aliases_of(session, project, model)
            return [alias_record(row) for row in rows]

    def set_alias(
        self,
        project: str,
        model: str,
        alias: str,
        version: int,
        *,
        protected: bool | None = None,
        gate: Gate | None = None,
    ) -> AliasRecord:
        """Let *alias* name *version* from now on; deployments that name the alias follow it.

        With *protected* it moves only through the gate from now on; None leaves that as it is. Raises
        `NotFound`, and `Conflict` for a retired version or one that the gate refuses.
        """
        checked_name(alias, "alias")
        gate = gate or Gate()
        with self._database.write() as session:
            hold_model(session, project, model)
            found = find_active_version(session, project, ModelRef(model, version=version))
            mine = AliasRow(project=project, model=model, name=alias, version=version)
            before = session.get(AliasRow, (project, model, alias))
            mine.protected = _protection(session, mine, before, protected, gate.override)
            if before is None or (before.version, before.protected) != (version, mine.protected):
                for guarded in self._guarded(session, mine):
                    pass_gate(session, found, gate, guarded)
            mine.updated_at, mine.snapshot = datetime.now(UTC), bump(session)
            return alias_record(session.merge(mine))

    def remove_alias(self, project: str, model: str, alias: str, *, override: Override | None = None) -> None:
        """Forget *alias*; raises `NotFound`, and `Conflict` while somebody follows it or it is protected."""
        with self._database.write() as session:
            hold_model(session, project, model)
            row = find_alias(session, project, model, alias)
            _refuse_while_used(f"the alias {alias!r} of {model!r}", self._followers(session, row))
            if row.protected:
                _take_away(session, row, override)
            session.delete(row)
            bump(session)  # nodes answer to aliases, too

    def _guarded(self, session: Session, alias: AliasRow) -> list[str]:
        """What of the alias's the gate stands before: itself, or the deployment that follows it."""
        if alias.protected:
            return [f"the alias {alias.name!r}"]
        return self._followers(session, alias)

    def _followers(self, session: Session, alias: AliasRow) -> list[str]:
        users: list[str] = []
        for in_use in self._in_use:
            users += in_use.users_of_alias(session, alias.project, alias.model, alias.name)
        return users

    def manifest(self, artifact: str) -> Manifest:
        """The files of the artifact with this digest; raises `NotFound`."""
        with self._database.read() as session:
            text = session.scalar(select(VersionRow.manifest).where(VersionRow.artifact == artifact).limit(1))
        if text is None:
            raise NotFound(f"no version has the artifact {artifact!r}")
        return Manifest.decode(text.encode())

    def referenced(self) -> set[str]:
        """The digest of every file that an active version is made of."""
        active = select(VersionRow.manifest).where(VersionRow.retired_at.is_(None)).distinct()
        with self._database.read() as session:
            manifests = [Manifest.decode(text.encode()) for text in session.scalars(active)]
        return {entry.sha256 for manifest in manifests for entry in manifest.files}

    def _claim_files(self, manifest: Manifest) -> None:
        """Make sure that every file is there, and stays while its version is being registered."""
        missing = [entry.path for entry in manifest.files if not self._is_there(entry)]
        if missing:
            names = ", ".join(map(repr, missing[:5]))
            raise Malformed(f"upload these files first, they are missing or of another size: {names}")

    def _is_there(self, entry: FileEntry) -> bool:
        return self._blobs.touch(entry.sha256) == entry.size_bytes


def _numbered(session: Session, row: VersionRow) -> VersionRow:
    """*row* with the next number, or the row that its job has registered before."""
    model = hold_or_make_model(session, row.project, row.model)
    known = session.scalar(select(VersionRow).where(VersionRow.job_id == row.job_id))
    if known is not None:
        return known
    model.last_version += 1
    row.version, row.created_at = model.last_version, datetime.now(UTC)
    session.add(row)
    session.flush()
    return row


def _protection(
    session: Session, alias: AliasRow, before: AliasRow | None, wish: bool | None, override: Override | None
) -> bool:
    """Whether *alias* is protected from now on; raises `Conflict` where that cannot be, or may not."""
    now = before is not None and before.protected
    if wish is False and before is not None and now:
        _take_away(session, before, override)
    elif wish and session.get(KeepRow, (alias.project, alias.model)) is None:
        raise Conflict(
            f"{alias.model!r} keeps no promise that {alias.name!r} could be protected by; set it first: "
            f'forebay keep {alias.model} "accuracy>=-0.5"'
        )
    return now if wish is None else wish


def _take_away(session: Session, alias: AliasRow, override: Override | None) -> None:
    name = f"{alias.model}@{alias.name}"
    refuse(
        session, alias.project, f"the alias {alias.name!r} is protected", name, "alias.unprotected", override
    )


def _model(session: Session, row: ModelRow) -> ModelRecord:
    active = (
        VersionRow.project == row.project,
        VersionRow.model == row.name,
        VersionRow.retired_at.is_(None),
    )
    newest = select(VersionRow).where(*active).order_by(VersionRow.version.desc()).limit(1)
    return model_record(row, session.scalar(newest), aliases_of(session, row.project, row.name))


def _refuse_while_used(what: str, users: Iterable[str]) -> None:
    named = ", ".join(users)
    if named:
        raise Conflict(f"{what} is used by {named}; change that first")
