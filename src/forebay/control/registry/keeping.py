"""What a model keeps: the promise that its protected aliases and its deployment hold every version to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from forebay.control.registry.lookup import aliases_of, find_active_version, find_model, hold_model
from forebay.control.registry.passing import Gate, Override, candidate_of, refuse, unproved
from forebay.control.registry.proof import Promised
from forebay.control.registry.records import KeepRecord
from forebay.control.registry.rows import keep_record
from forebay.control.registry.tables import KeepRow, VersionRow
from forebay.control.store import Database, Deed, record_deed
from forebay.core import ModelRef
from forebay.core.errors import Conflict, NotFound


class Keeps:
    """The promises of every model, in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, project: str, model: str) -> KeepRecord:
        """What *model* keeps; raises `NotFound`."""
        with self._database.read() as session:
            find_model(session, project, model)
            return _record(session, _found(session, project, model))

    def put(
        self,
        project: str,
        model: str,
        promises: Sequence[Promised],
        key_id: str,
        *,
        data: str | None = None,
        reference: int | None = None,
        override: Override | None = None,
    ) -> KeepRecord:
        """Hold every version of *model* to *promises* from now on.

        *data* is the digest of the rows to prove them on; None leaves it to the first proof. *reference* is
        the version that they are relative to: the newest active one without evidence of a compression,
        unless it is named. Once set, only an override changes it; adding the data is no change. Raises
        `NotFound` and `Conflict`.
        """
        with self._database.write() as session:
            hold_model(session, project, model)
            before = session.get(KeepRow, (project, model))
            if reference is None:
                reference = _original(session, project, model) if before is None else before.reference
            find_active_version(session, project, ModelRef(model, version=reference))
            row = KeepRow(project=project, model=model, promises=_text(promises), reference=reference)
            row.data = data if data is not None else before.data if before is not None else ""
            if before is not None and _same(before, row):
                return _record(session, before)
            row.set_by, row.set_at = key_id, datetime.now(UTC)
            _write_down(session, before, row, key_id, override)
            return _record(session, session.merge(row))

    def clear(self, project: str, model: str, override: Override) -> None:
        """Hold *model* to nothing any more; raises `NotFound`, and `Conflict` while an alias is protected."""
        with self._database.write() as session:
            hold_model(session, project, model)
            row = _found(session, project, model)
            names = [repr(alias.name) for alias in aliases_of(session, project, model) if alias.protected]
            if names:
                raise Conflict(
                    f"the promise of {model!r} guards the protected alias {', '.join(names)}; "
                    "take that protection away first"
                )
            sentence = f"{model!r} keeps {_told(row)}"
            refuse(session, project, sentence, model, "keep.cleared", override)
            session.delete(row)

    def notes(
        self, project: str, served: Mapping[str, Sequence[int]], gate: Gate
    ) -> dict[str, tuple[str, ...]]:
        """Which versions that are *served*, by model, would not pass the gate now, a sentence for each.

        They go on: what has begun to answer is not taken away. For models that keep nothing, nothing.
        """
        with self._database.read() as session:
            mine = (KeepRow.project == project, KeepRow.model.in_(served))
            return {
                keep.model: tuple(_notes(session, keep, served[keep.model], gate))
                for keep in session.scalars(select(KeepRow).where(*mine)).all()
            }


def _notes(session: Session, keep: KeepRow, versions: Sequence[int], gate: Gate) -> list[str]:
    found = []
    for number in versions:
        version = session.get_one(VersionRow, (keep.project, keep.model, number))
        if refusal := unproved(session, version, keep, gate):
            found.append(f"version {number} goes on answering without proof: {refusal}")
    return found


def _write_down(
    session: Session, before: KeepRow | None, row: KeepRow, key_id: str, override: Override | None
) -> None:
    """Refuse a change of what is promised, unless somebody overrides that."""
    if before is None or _only_adds_data(before, row):
        said = {"keep": _told(row), "original": f"version {row.reference}", "data": row.data}
        record_deed(session, Deed(row.project, key_id, "keep.set", row.model, said), instead=True)
        return
    sentence = (
        f"{row.model!r} keeps {_told(before)} against version {before.reference} already, and was to keep "
        f"{_told(row)} against version {row.reference}{_of_data(before, row)}"
    )
    refuse(session, row.project, sentence, row.model, "keep.changed", override)


def _of_data(before: KeepRow, row: KeepRow) -> str:
    return f" on the data {row.data[:12] or 'of the first proof'}" if before.data != row.data else ""


def _only_adds_data(before: KeepRow, row: KeepRow) -> bool:
    same = (before.promises, before.reference) == (row.promises, row.reference)
    return same and not before.data


def _same(before: KeepRow, row: KeepRow) -> bool:
    return (before.promises, before.reference, before.data) == (row.promises, row.reference, row.data)


def _original(session: Session, project: str, model: str) -> int:
    """The newest active version that no compression made."""
    active = (VersionRow.project == project, VersionRow.model == model, VersionRow.retired_at.is_(None))
    for version in session.scalars(select(VersionRow).where(*active).order_by(VersionRow.version.desc())):
        if not candidate_of(version).measured:
            return version.version
    raise Conflict(
        f"no active version of {model!r} is an original; say which version the promise is relative to"
    )


def _found(session: Session, project: str, model: str) -> KeepRow:
    row = session.get(KeepRow, (project, model))
    if row is None:
        raise NotFound(f'{model!r} keeps nothing yet; `forebay keep {model} "accuracy>=-0.5"` says what')
    return row


def _record(session: Session, row: KeepRow) -> KeepRecord:
    return keep_record(row, aliases_of(session, row.project, row.model))


def _text(promises: Sequence[Promised]) -> str:
    return msgspec.json.encode(tuple(promises)).decode()


def _told(row: KeepRow) -> str:
    return ", ".join(promise.text for promise in keep_record(row, ()).promises)
