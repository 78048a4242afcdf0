"""Whether an OpenVINO IR is sound, found out before OpenVINO reads it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert.looks import head_of, looks_like

_LARGEST_XML_BYTES = 256 << 20
_OPSET = re.compile(r"opset\d{1,3}")


def weights_beside(path: Path) -> Path:
    """Where the weights of the IR at *path* are: `model.xml` has its `model.bin`."""
    return path.with_suffix(".bin")


def is_ir(path: Path) -> bool:
    """Whether *path* is an XML file of OpenVINO's."""
    return path.is_file() and path.suffix.lower() == ".xml" and b"<net" in head_of(path)


def checked_ir(path: Path) -> Path:
    """Where the weights of *path* are.

    Raises `Malformed` for what is no IR or not whole, `Unsupported` for operators that are a library's.
    """
    size = path.stat().st_size
    if size > _LARGEST_XML_BYTES:
        raise Malformed(f"{path.name!r} has {size >> 20} MB; the graph of an OpenVINO IR is never so large")
    needed, strange = _read(path)
    if strange:
        raise Unsupported(
            f"{path.name!r} needs operators of its own ({', '.join(sorted(strange)[:5])}), which are code in "
            "a library; convert the model with OpenVINO's own operators"
        )
    weights = weights_beside(path)
    if not weights.is_file() or weights.is_symlink():
        raise Malformed(f"the weights of {path.name!r} belong beside it, as {weights.name!r}")
    if weights.stat().st_size < needed:
        raise Malformed(
            f"{weights.name!r} is cut off: the weights end at byte {needed}, the file does at "
            f"{weights.stat().st_size}"
        )
    return weights


def _read(path: Path) -> tuple[int, set[str]]:
    """Where the last weight ends, and which operators are of no opset of OpenVINO's."""
    needed, strange, root = 0, set(), ""
    try:
        with path.open("rb") as file:
            if re.search(rb"<!(DOCTYPE|ENTITY)", file.read()):
                raise Malformed(f"{path.name!r} is no OpenVINO IR: it defines a document type of its own")
            file.seek(0)
            for event, element in ET.iterparse(file, ("start", "end")):  # noqa: S314 (no entities)
                root = root or element.tag
                if event == "start":
                    continue
                if element.tag == "layer" and not _OPSET.fullmatch(element.get("version", "")):
                    strange.add(f"{element.get('version')}.{element.get('type')}")
                if element.tag == "data" and "offset" in element.attrib:
                    needed = max(needed, int(element.attrib["offset"]) + int(element.get("size", "0")))
                if element.tag == "layer":
                    element.clear()
    except (ET.ParseError, ValueError) as error:
        what = looks_like(path)
        told = f"it is {what}" if what not in ("", "text") else str(error)
        raise Malformed(f"{path.name!r} is no OpenVINO IR, or is damaged: {told}") from None
    if root != "net":
        raise Malformed(f"{path.name!r} is no OpenVINO IR: it is XML about {root!r}")
    return needed, strange
