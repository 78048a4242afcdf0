"""On a machine without scikit-learn."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from forebay.core.errors import Unsupported
from forebay.core.extras import need
from forebay.workshop.convert import convert
from forebay.workshop.train import train

LINE = r"is missing; type: pip install 'forebay\[sklearn\]'"


def test_the_line_to_type_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sklearn", "polars"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unsupported, match=f"this needs sklearn, which {LINE}"):
        convert(LinearRegression(), np.zeros((1, 1)))
    with pytest.raises(Unsupported, match=f"this needs polars, which {LINE}"):
        train(np.zeros((1, 1)), [1])


def test_a_library_that_is_there_but_broken_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "half_there.py").write_text("import what_it_needs")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="what_it_needs"):
        need("half_there", "sklearn")
