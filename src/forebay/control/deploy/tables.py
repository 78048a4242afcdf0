"""The rows of `control/deploy`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from forebay.control.store import Base


class NodeRow(Base):
    """What a node last said of itself (a `NodeReport` in JSON), and when, by the hub's clock."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(primary_key=True)
    report: Mapped[str]
    heard_at: Mapped[datetime]
