"""One number that grows with every change a node has to hear of."""

from __future__ import annotations

import secrets

from sqlalchemy import select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from forebay.control.store.database import Base


class HubState(Base):
    """The single row that says which database this is, and how many changes it has seen."""

    __tablename__ = "hub_state"

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    hub: Mapped[str] = mapped_column(default=lambda: secrets.token_hex(8))
    snapshot: Mapped[int] = mapped_column(default=1)


def bump(session: Session) -> None:
    """Count a change, in the transaction that makes it.

    Writers queue here, so numbers have no gaps in time.
    """
    session.execute(update(HubState).values(snapshot=HubState.snapshot + 1))


def current(session: Session) -> tuple[str, int]:
    """Which database this is, and the number of its last change."""
    row = session.execute(select(HubState.hub, HubState.snapshot)).one()
    return row.hub, row.snapshot
