"""Things at rest: blobs by digest, the database and its migrations."""

from forebay.control.store.changes import bump, current
from forebay.control.store.database import Base, Database, UtcTime

__all__ = ["Base", "Database", "UtcTime", "bump", "current"]
