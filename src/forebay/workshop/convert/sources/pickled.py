"""Pickles and joblib files: code, loaded only where their owner trusts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forebay.core.errors import Unsupported
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.recognising import called

_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill"})
_PROTOCOLS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))


class Pickled:
    """A file that, when loaded, runs whatever is inside."""

    name = "pickles (with --trust)"

    def knows(self, model: object) -> bool:  # noqa: ARG002 (the contract's)
        return False

    def reads(self, path: Path) -> bool:
        return path.is_file() and (path.suffix.lower() in _SUFFIXES or _begins_like_one(path))

    def runs_code(self, path: Path) -> str | None:
        return (
            f"{path} is a pickle: loading it would run whatever is inside. Where you trust it, run: "
            f"forebay publish {path} --name {path.stem} --sample ROWS.csv --trust; "
            f"or load it yourself: forebay.connect().publish(joblib.load({str(path)!r}), "
            f"name={path.stem!r}, sample=X)"
        )

    def load(self, path: Path) -> Any:
        from forebay.workshop.convert.trusted import load_pickle  # noqa: PLC0415 (nowhere else, and never early)

        return load_pickle(path)

    def draft(self, model: Any, given: Given) -> Draft:  # noqa: ARG002 (the contract's)
        raise Unsupported(f"the pickle holds a {called(model)}, which nobody here converts")


def _begins_like_one(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in _PROTOCOLS
