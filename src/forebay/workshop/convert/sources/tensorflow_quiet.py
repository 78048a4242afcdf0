"""Keras and TensorFlow, imported without their greetings, and with a backend that is there."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from forebay.core.errors import Unsupported
from forebay.core.extras import need

_LOGGERS = ("tensorflow", "tf2onnx", "tf2onnx.convert", "absl", "keras")


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """For the first import: no log of the machine, and PyTorch where TensorFlow is missing."""
    wanted = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if find_spec("tensorflow") is None and find_spec("torch") is not None:
        wanted["KERAS_BACKEND"] = "torch"
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    if "tensorflow" in sys.modules:
        ours.pop("TF_CPP_MIN_LOG_LEVEL", None)
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def import_keras() -> Any:
    """Keras; raises `Unsupported` with the line to type where it, or what it is set to run on, is missing."""
    with importing():
        try:
            return need("keras", "keras")
        except ModuleNotFoundError as error:
            there = next((name for name in ("tensorflow", "torch") if find_spec(name)), "")
            other = f"KERAS_BACKEND={there}" if there else "pip install 'forebay[keras]'"
            raise Unsupported(
                f"Keras is set to run on {error.name}, which is missing; "
                f"type: pip install {error.name}, or run it with {other}"
            ) from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While a model is traced: what concerns the tracers' own insides is no concern of the owner."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
