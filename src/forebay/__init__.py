"""Forebay: train, publish, serve, guard, meter and bill any model, on one machine or many.

`import forebay` costs nothing; each name below is loaded when it is first used.

    hub = forebay.connect()                           a hub, for notebooks and programs
    forebay.train(data, target)                       the workshop, without a hub
    forebay.convert(model, sample)
    forebay.run("name", lr=0.1)                       a training script, in a job or by hand
    forebay.compress.search(model, rows, truth, keep="accuracy>=-0.5")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forebay.client import Hub, connect
    from forebay.client.run import Run, run
    from forebay.core.errors import ForebayError
    from forebay.workshop import compress
    from forebay.workshop.convert import convert
    from forebay.workshop.train import train

__version__ = "0.1.0"
__all__ = ["ForebayError", "Hub", "Run", "__version__", "compress", "connect", "convert", "run", "train"]

_HOMES = {
    "ForebayError": "forebay.core.errors",
    "Hub": "forebay.client",
    "Run": "forebay.client.run",
    "connect": "forebay.client",
    "convert": "forebay.workshop.convert",
    "run": "forebay.client.run",
    "train": "forebay.workshop.train",
}


def __getattr__(name: str) -> object:
    if name == "compress":  # a room of several names, and not one function
        return importlib.import_module("forebay.workshop.compress")
    if name not in _HOMES:
        raise AttributeError(f"module 'forebay' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
