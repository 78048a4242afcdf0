"""The child of `apart`: converts what is in its folder, with permission to load code."""

from __future__ import annotations

from pathlib import Path

import msgspec

from forebay.core.errors import ForebayError
from forebay.workshop.convert.apart import (
    ARTIFACT,
    EVIDENCE,
    REFUSAL,
    REQUEST,
    Refusal,
    Request,
    this_process_is_apart,
)
from forebay.workshop.convert.contract import Given
from forebay.workshop.convert.conversion import convert_here
from forebay.workshop.convert.samples import read_sample


def main() -> None:
    """Answer the request in this folder with an artifact and its evidence, or with a refusal."""
    this_process_is_apart()
    request = msgspec.json.decode(Path(REQUEST).read_bytes(), type=Request)
    sample = read_sample(Path(request.sample)) if request.sample else None
    given = Given(sample, request.columns, request.labels)
    try:
        converted = convert_here(
            Path(request.model), given, request.tolerance, request.rows_off, keep_sample=request.keep_sample
        )
    except ForebayError as error:
        refusal = Refusal(type(error).__name__, str(error))
        Path(REFUSAL).write_bytes(msgspec.json.encode(refusal))
        return
    converted.save(ARTIFACT)
    Path(EVIDENCE).write_bytes(msgspec.json.encode(converted.evidence))


if __name__ == "__main__":
    main()
