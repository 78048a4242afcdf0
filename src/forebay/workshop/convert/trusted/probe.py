"""The child that asks its owner's code once, to see what it answers: names, datatypes and shapes."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from forebay.core import CODE_FOLDER, INFO_NAME, ArtifactInfo, Signature
from forebay.core.errors import ForebayError, Malformed
from forebay.core.requests import decode_request
from forebay.workshop.convert.answers import INPUTS, OUTPUTS, named_answer, specs_of
from forebay.workshop.convert.apart import REFUSAL, Refusal


def main() -> None:
    """Read `forebay.json` and the inputs in this folder, call the entry, write down what it answered."""
    try:
        _ask()
    except ForebayError as error:
        Path(REFUSAL).write_bytes(msgspec.json.encode(Refusal(type(error).__name__, str(error))))


def _ask() -> None:
    info = ArtifactInfo.decode(Path(INFO_NAME).read_bytes())
    inputs = decode_request(Path(INPUTS).read_bytes(), info.signature)
    sys.path.insert(0, str(Path(CODE_FOLDER).absolute()))
    try:
        found = _called(info.entry, inputs)
    except Exception as error:  # whatever the owner's code raises
        raise Malformed(f"{info.entry} fails on the sample: {type(error).__name__}: {error}") from error
    answer = named_answer(found)
    signature = Signature(specs_of(answer), ())
    Path(OUTPUTS).write_bytes(msgspec.json.encode(signature))


def _called(entry: str, inputs: dict[str, Any]) -> Any:
    module, _, name = entry.partition(":")
    target: Any = getattr(import_module(module), name)
    if inspect.isclass(target):
        made: Any = target()
        target = made.predict
    return target(**inputs)


if __name__ == "__main__":
    main()
