"""Texts that people write, as numbers: how often each word stands in them, against how common it is.

ONNX lowers only ASCII letters in the C locale, the one that every machine has, and its regular expressions
know no letters but those; so both sides split at ASCII punctuation and lower ASCII alone.
"""

from __future__ import annotations

import copy
import functools
import string
from collections.abc import Callable
from typing import Any

_MOST_WORDS = 20_000
_PATTERN = r"[^ \t\r\n!\"#$%&'()*+,./:;<=>?@\[\\\]^`{|}~-]+"
_LOWERED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def lowered(text: str) -> str:
    """ASCII letters made small, others left.

    >>> lowered("Ärger, ÄRGER")
    'Ärger, Ärger'
    """
    return text.translate(_LOWERED)


@functools.cache
def _words_class() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 (heavy)

    class Words(TfidfVectorizer):  # type: ignore[misc]  # scikit-learn is untyped
        def build_preprocessor(self) -> Callable[[str], str]:
            return lowered

    return Words


def words_step() -> Any:
    """The unfitted vectoriser: single words and pairs of them (term frequency by inverse frequency)."""
    import numpy as np  # noqa: PLC0415 (dtype only)

    return _words_class()(
        lowercase=True,
        token_pattern=_PATTERN,
        ngram_range=(1, 2),
        max_features=_MOST_WORDS,
        sublinear_tf=False,
        dtype=np.float32,
    )


def convertible(preparation: Any) -> Any:
    """A copy of a fitted preparation in which our vectoriser is scikit-learn's own, which converters know."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 (heavy)

    preparation = copy.deepcopy(preparation)
    for _, part, _ in getattr(preparation, "transformers_", ()):
        if isinstance(part, _words_class()):
            part.__class__ = TfidfVectorizer
    return preparation
