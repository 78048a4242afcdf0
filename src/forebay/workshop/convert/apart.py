"""Work on files that are code: in a child process that has one folder and knows no secret.

`convert_apart` runs `python -m forebay.workshop.convert` there, which converts the copy of the file
and writes an artifact; only that comes back, and it is data. What the file's code does to the
machine in the meantime is its owner's risk, hence `--trust`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from forebay.core import INFO_NAME, ArtifactInfo
from forebay.core.errors import Malformed, Refused, Unsupported
from forebay.core.requests import decode_request
from forebay.workshop.convert.converted import Converted
from forebay.workshop.convert.parity import Different
from forebay.workshop.convert.samples import write_sample

REQUEST, REFUSAL, EVIDENCE, ARTIFACT = "request.json", "refusal.json", "evidence.json", "artifact"
_KEPT_VARIABLES = (
    "PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
)
_ERRORS: dict[str, type[Exception]] = {cls.__name__: cls for cls in (Malformed, Unsupported, Different)}
_process = {"apart": False}


class Request(msgspec.Struct):
    """What the child is to convert; paths are relative to its folder. `sample` is empty for none."""

    model: str
    sample: str
    columns: tuple[str, ...] | None
    labels: tuple[str, ...] | None
    tolerance: float
    rows_off: float
    keep_sample: bool


class Refusal(msgspec.Struct):
    """Why the child could not: the name of the error's class, and its sentence."""

    error: str
    message: str


def this_process_is_apart() -> None:
    """Said by the child about itself, before it loads anything."""
    _process["apart"] = True


def must_be_apart(path: Path) -> None:
    """Raise `Unsupported` in any process that is not such a child."""
    if not _process["apart"]:
        raise Unsupported(f"{path.name} is code, which is loaded only in a child process, with --trust")


def convert_apart(path: Path, sample: Any, wishes: dict[str, Any]) -> Converted:
    """Convert the code at *path* in a child; raises what the conversion raises, `Malformed` if it dies."""
    with TemporaryDirectory(prefix="forebay-apart-") as name:
        folder = Path(name)
        model = Path("model", path.name)
        (folder / "model").mkdir()
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, folder / model)
        given = "" if sample is None else write_sample(sample, folder)
        request = Request(model=str(model), sample=given, **wishes)
        (folder / REQUEST).write_bytes(msgspec.json.encode(request))
        run_apart("forebay.workshop.convert", folder)
        return _answer(folder)


def run_apart(module: str, folder: Path) -> None:
    """Run *module* with *folder* as its home, working and temporary folder, and no other variable of ours.

    Raises the refusal that it left there, and `Malformed` with the last line of its complaints when it died.
    """
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environment |= {name: str(folder) for name in ("HOME", "TMPDIR")}
    done = subprocess.run(  # noqa: S603 (the command is ours)
        [sys.executable, "-P", "-m", module],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if (folder / REFUSAL).exists():
        refusal = msgspec.json.decode((folder / REFUSAL).read_bytes(), type=Refusal)
        raise _ERRORS.get(refusal.error, Refused)(refusal.message)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise Malformed(f"loading or converting it failed: {lines[-1][:300]}")


def _answer(folder: Path) -> Converted:
    """The artifact that a child wrote, as if it had been made here."""
    made = folder / ARTIFACT
    info = ArtifactInfo.decode((made / INFO_NAME).read_bytes())
    files = {
        path.relative_to(made).as_posix(): path.read_bytes()
        for path in sorted(made.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    del files[INFO_NAME]
    sample = decode_request(files.pop(info.sample), info.signature) if info.sample else {}
    evidence = msgspec.json.decode((folder / EVIDENCE).read_bytes(), type=tuple[dict[str, Any], ...])
    return Converted(dict(files), info, sample, evidence)
