"""Finding models, versions and aliases inside a session, with errors that say what there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from forebay.control.registry.tables import AliasRow, ModelRow, VersionRow
from forebay.core import ModelRef
from forebay.core.errors import Conflict, NotFound

_SHOWN = 5
_LARGEST = 2**31 - 1  # that the column holds


class InUse(Protocol):
    """Somebody who works with versions, and is asked before one disappears, in the same transaction."""

    def users_of_version(self, session: Session, project: str, model: str, version: int) -> Sequence[str]:
        """Who needs this version, each as in `the deployment 'digits'`; empty if nobody does."""

    def users_of_alias(self, session: Session, project: str, model: str, alias: str) -> Sequence[str]:
        """Who follows this alias; empty if nobody does."""


def hold_model(session: Session, project: str, model: str) -> ModelRow:
    """The model's row, locked until the transaction ends, so that what is true of it stays true.

    Raises `NotFound`. Whoever adds or removes a use of its versions comes through here first.
    """
    mine = (ModelRow.project == project, ModelRow.name == model)
    row = session.scalar(select(ModelRow).where(*mine).with_for_update())
    if row is None:
        raise no_model(session, project, model)
    return row


def hold_or_make_model(session: Session, project: str, model: str) -> ModelRow:
    """As `hold_model`, and the first who asks makes the model."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    new = {"project": project, "name": model, "last_version": 0, "created_at": datetime.now(UTC)}
    session.execute(dialect.insert(ModelRow).values(new).on_conflict_do_nothing())
    return hold_model(session, project, model)


def find_model(session: Session, project: str, model: str) -> ModelRow:
    """The model's row; raises `NotFound`."""
    row = session.get(ModelRow, (project, model))
    if row is None:
        raise no_model(session, project, model)
    return row


def find_version(session: Session, project: str, ref: ModelRef) -> VersionRow:
    """What *ref* means now: the version, the alias's version, or the newest active one; raises `NotFound`."""
    if ref.alias is not None:
        number: int | None = find_alias(session, project, ref.model, ref.alias).version
    else:
        number = ref.version or latest(session, project, ref.model)
    row = (
        None if number is None or number > _LARGEST else session.get(VersionRow, (project, ref.model, number))
    )
    if row is None:
        raise _no_version(find_model(session, project, ref.model), ref.version)
    return row


def find_active_version(session: Session, project: str, ref: ModelRef) -> VersionRow:
    """As `find_version`; raises `Conflict` if that version is retired."""
    row = find_version(session, project, ref)
    if row.retired_at is not None:
        raise Conflict(
            f"version {row.version} of {row.model!r} is retired; choose another, or publish it again"
        )
    return row


def find_alias(session: Session, project: str, model: str, alias: str) -> AliasRow:
    """The alias's row; raises `NotFound`."""
    row = session.get(AliasRow, (project, model, alias))
    if row is None:
        find_model(session, project, model)
        names = [row.name for row in aliases_of(session, project, model)]
        raise NotFound(f"the model {model!r} has no alias {alias!r}; {_what_there_is(alias, names)}")
    return row


def aliases_of(session: Session, project: str, model: str) -> list[AliasRow]:
    """The model's aliases, by name."""
    mine = (AliasRow.project == project, AliasRow.model == model)
    return sorted(session.scalars(select(AliasRow).where(*mine)), key=lambda row: row.name)


def latest(session: Session, project: str, model: str) -> int | None:
    """The number of the newest active version; None if there is none."""
    active = (VersionRow.project == project, VersionRow.model == model, VersionRow.retired_at.is_(None))
    newest = select(VersionRow.version).where(*active).order_by(VersionRow.version.desc()).limit(1)
    return session.scalar(newest)


def no_model(session: Session, project: str, model: str) -> NotFound:
    """The sentence for a model that is not there."""
    names = session.scalars(select(ModelRow.name).where(ModelRow.project == project))
    return NotFound(f"the project {project!r} has no model {model!r}; {_what_there_is(model, names)}")


def _no_version(model: ModelRow, version: int | None) -> NotFound:
    if version is None:
        return NotFound(f"every version of the model {model.name!r} is retired; publish a new one")
    numbers = "only version 1" if model.last_version == 1 else f"the versions 1 to {model.last_version}"
    return NotFound(f"the model {model.name!r} has no version {version}; it has {numbers}")


def _what_there_is(name: str, names: Iterable[str]) -> str:
    """The half sentence that follows a name nobody knows.

    >>> _what_there_is("digit", ["digits", "prices"])
    "did you mean 'digits'?"
    >>> _what_there_is("x", ["digits", "prices"])
    "there are 'digits', 'prices'"
    >>> _what_there_is("x", [])
    'there are none yet'
    """
    known = sorted(names)
    close = get_close_matches(name, known, n=3)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not known:
        return "there are none yet"
    shown = ", ".join(map(repr, known[:_SHOWN]))
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"there {'is' if len(known) == 1 else 'are'} {shown}{more}"
