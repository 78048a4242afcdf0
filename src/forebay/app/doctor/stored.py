"""Checks of what is kept: the database's shape, and every byte of the artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from forebay.app.doctor.findings import Finding, Patient
from forebay.core import Manifest
from forebay.core.artifact import digest_of_stream
from forebay.core.errors import Malformed

_READ_AT_MOST_BYTES = 8 << 30


def check_database(patient: Patient) -> Finding:
    """Whether the database can be reached and has the tables of this release."""
    from forebay.control.store import Database, migration_state  # noqa: PLC0415 (SQLAlchemy comes with it)

    url = patient.settings.database
    file = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not file.exists():
        return Finding.ok(f"none yet; the hub will make {file}")
    database = Database(url)
    try:
        current, head = migration_state(database)
    finally:
        database.close()
    if current == head:
        return Finding.ok(f"has the tables of this release ({head})")
    return Finding.fail(
        f"its tables are those of {current or 'no release'}, this release needs {head}",
        "start the hub of this release once (`forebay up`): it brings them up to date; "
        "if they are of a newer release, install that one",
    )


def check_artifacts(patient: Patient) -> Finding:
    """Whether every blob and every artifact on this machine is, byte for byte, what its digest says."""
    home = patient.settings.home
    read_bytes = count = 0
    for path in _kept(home):
        if read_bytes > _READ_AT_MOST_BYTES:
            return Finding.ok(
                f"{count} were read ({read_bytes:,} bytes) and are good; the rest was left unread"
            )
        digest, size_bytes = _digest_of(path)
        if digest != path.name:
            return Finding.fail(f"{path} is damaged", _mend(path))
        read_bytes, count = read_bytes + size_bytes, count + 1
    return Finding.ok(f"all {count} were read ({read_bytes:,} bytes), and every byte is good")


def _kept(home: Path) -> Iterator[Path]:
    """The hub's blobs (files) and the node's artifacts (folders), each named by its digest."""
    yield from sorted(home.glob("blobs/[0-9a-f][0-9a-f]/*"))
    yield from sorted(path for path in home.glob("node/artifacts/*") if not path.name.startswith("."))


def _digest_of(path: Path) -> tuple[str, int]:
    if path.is_dir():
        try:
            manifest = Manifest.of_folder(path)
        except Malformed:
            return "", 0
        return manifest.digest, manifest.size_bytes
    with path.open("rb") as file:
        return digest_of_stream(file)


def _mend(path: Path) -> str:
    if path.is_dir():
        return f"rm -r {path} and start the node again: it fetches the artifact anew"
    return (
        "publish the version again: good bytes take the place of bad ones; then look at the disk "
        "(`smartctl -a`) and restore the rest from a backup"
    )
