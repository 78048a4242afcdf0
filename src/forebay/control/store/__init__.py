"""Things at rest: blobs by digest, the database and its migrations."""

from forebay.control.store.audit import (
    BEGINNING,
    ERRAND,
    AuditHead,
    AuditRow,
    Deed,
    Errand,
    chained,
    record_deed,
)
from forebay.control.store.base import Base, PlainText, UtcTime
from forebay.control.store.blobs import Blobs, Collected, FolderBlobs, MemoryBlobs, collect
from forebay.control.store.changes import Changes, HubState, bump, current
from forebay.control.store.database import Database
from forebay.control.store.migrate import migrate, migration_state

__all__ = [
    "BEGINNING",
    "ERRAND",
    "AuditHead",
    "AuditRow",
    "Base",
    "Blobs",
    "Changes",
    "Collected",
    "Database",
    "Deed",
    "Errand",
    "FolderBlobs",
    "HubState",
    "MemoryBlobs",
    "PlainText",
    "UtcTime",
    "bump",
    "chained",
    "collect",
    "current",
    "migrate",
    "migration_state",
    "record_deed",
]
