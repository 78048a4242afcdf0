"""A script's own Python environment, where it asks for packages (inline script metadata, PEP 723)."""

from __future__ import annotations

import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.train import Listener

_BLOCK = re.compile(r"(?m)^# /// script\s*$\n(?P<lines>(?:^#(?: .*)?$\n)+?)^# ///\s*$")


class _Metadata(msgspec.Struct, rename="kebab"):
    dependencies: list[str] = []
    requires_python: str = ""


def python_for(script: Path, place: Path, tell: Listener) -> Path:
    """The interpreter for *script*: ours, or, if it names dependencies, one that has them too, below *place*.

    What is installed here is seen there as well, and gives way to what the script asks for.
    """
    wanted = metadata_of(script)
    if wanted.requires_python:
        _check_python(wanted.requires_python)
    if not wanted.dependencies:
        return Path(sys.executable)
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        tell({
            "kind": "progress", "step": "run", "fraction": 0.0,
            "text": f"installing {', '.join(wanted.dependencies)}",
        })  # fmt: skip
        shutil.rmtree(place, ignore_errors=True)
        _make(place)
        _run([str(python), "-m", "pip", "install", "--quiet", *wanted.dependencies])
        (place / "complete").touch()
    return python


def metadata_of(script: Path) -> _Metadata:
    """What the block `# /// script` of *script* asks for; raises `Malformed`."""
    found = _BLOCK.findall(script.read_text("utf-8", "replace").replace("\r\n", "\n"))
    if not found:
        return _Metadata()
    if len(found) > 1:
        raise Malformed(f"{script.name} has more than one block `# /// script`; leave one")
    text = "".join(line[2:] if line.startswith("# ") else line[1:] for line in found[0].splitlines(True))
    try:
        return msgspec.convert(tomllib.loads(text), _Metadata)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Malformed(f"the block `# /// script` of {script.name} is not right: {error}") from error


def _check_python(wanted: str) -> None:
    ours = ".".join(map(str, sys.version_info[:3]))
    try:
        fits = SpecifierSet(wanted).contains(ours)
    except InvalidSpecifier as error:
        raise Malformed(f"requires-python = {wanted!r} is not right: {error}") from error
    if not fits:
        raise Unsupported(f"the script wants Python {wanted}, and this hub has {ours}")


def _make(place: Path) -> None:
    _run([sys.executable, "-m", "venv", str(place)])
    paths = {"base": str(place), "platbase": str(place)}
    theirs = Path(sysconfig.get_path("purelib", "venv", paths))
    ours = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *_more()])
    lines = [f"import site; site.addsitedir({folder!r})" for folder in ours]
    (theirs / "forebay-hub.pth").write_text("\n".join(lines) + "\n")


def _more() -> list[str]:
    """Other folders of packages that this interpreter looks into."""
    return [path for path in [*site.getsitepackages(), *sys.path] if Path(path).name.endswith("-packages")]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = next((line for line in said if line.startswith("ERROR")), said[-1] if said else "no word")
        raise Unsupported(f"the script's environment cannot be made: {why.removeprefix('ERROR: ')}")
