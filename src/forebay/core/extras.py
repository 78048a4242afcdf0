"""Libraries that only some people need: imported when used, and missed with the line to type."""

from __future__ import annotations

import importlib
from typing import Any

from forebay.core.errors import Unsupported


def need(module: str, extra: str) -> Any:
    """Import *module*, which comes with the extra *extra*; raises `Unsupported` where it is missing.

    >>> need("json", "sklearn").dumps([1])
    '[1]'
    >>> need("xyz", "sklearn")
    Traceback (most recent call last):
    forebay.core.errors.Unsupported: this needs xyz, which is missing; type: pip install 'forebay[sklearn]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # the module is there, and something that it needs is broken
        raise Unsupported(
            f"this needs {top}, which is missing; type: pip install 'forebay[{extra}]'"
        ) from None
