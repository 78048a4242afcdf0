"""A disk that is full: a small file system of our own, really full."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import hashlib, sqlite3, sys
from pathlib import Path
from forebay.control.store import Base, Database, FolderBlobs
from forebay.control.store.changes import HubState
from forebay.core.errors import StorageFull

root = Path(sys.argv[1])
small, large = b"s" * 10_000, b"l" * 8_000_000
digest = lambda content: hashlib.sha256(content).hexdigest()

blobs = FolderBlobs(root / "blobs")
blobs.put([small], digest(small))
try:
    blobs.put([large], digest(large))
except StorageFull as error:
    print(error)
assert blobs.size(digest(large)) is None
assert list((root / "blobs" / "incoming").iterdir()) == []
assert blobs.open(digest(small)).read() == small

database = Database(f"sqlite:///{root / 'hub.db'}")
Base.metadata.create_all(database.engine)
with database.write() as session:
    session.add(HubState(hub="before"))
try:
    with database.write() as session:
        session.get(HubState, 1).hub = "x" * 8_000_000
except StorageFull as error:
    print(error)
with database.read() as session:
    assert session.get(HubState, 1).hub == "before"
database.close()
"""


def test_a_full_disk_is_said_to_be_full_and_loses_nothing(tmp_path: Path) -> None:
    small_disk = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    in_own_mounts = ["unshare", "--mount", "--map-root-user", "--user"]
    if shutil.which("unshare") is None or subprocess.run([*in_own_mounts, "true"], check=False).returncode:
        pytest.skip("this machine allows no file systems of our own")
    script = tmp_path.with_suffix(".py")
    script.write_text(_SCRIPT)
    line = f"{' '.join(small_disk)} && exec {sys.executable} {script} {tmp_path}"
    done = subprocess.run([*in_own_mounts, "sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "the disk that keeps the blobs is full; free some space and try again",
        "the database's disk is full; free some space and try again",
    ]
