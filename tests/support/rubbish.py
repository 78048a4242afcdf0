"""Whatever a caller sends: a call, or a sentence that the caller can act on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from forebay.core import Signature, Tensors
from forebay.core.errors import ForebayError


def read_or_refused(read: Callable[[], Tensors], signature: Signature | None = None) -> None:
    """*read* gives tensors, which *signature* takes or refuses in turn, or says what is wrong with them."""
    tensors, refusal = _outcome(read, signature)
    if refusal is not None:
        assert refusal.status < 500 or refusal.status == 501, "rubbish is no failure of ours"
        assert str(refusal).strip()
    assert all(isinstance(array, np.ndarray) for array in tensors.values())


def _outcome(read: Callable[[], Tensors], signature: Signature | None) -> tuple[Tensors, ForebayError | None]:
    try:
        tensors = read()
        if signature is not None:
            signature.check(tensors)
    except ForebayError as error:
        return {}, error
    return tensors, None
