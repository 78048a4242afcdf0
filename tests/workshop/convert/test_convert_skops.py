"""scikit-learn's models from skops files: data is loaded, everything else is refused by name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
import skops.io
import xgboost as xgb
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert import convert
from forebay.workshop.convert.sources.skops_file import is_harmless

X = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
GRADE = (X[:, 0] > 0) * 1 + (X[:, 1] > 0.5)


def in_skops(model: Any, folder: Path, name: str = "model.skops") -> Path:
    skops.io.dump(model, folder / name)
    return folder / name


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=3),
        KNeighborsClassifier(),
        StackingClassifier(
            [("h", HistGradientBoostingClassifier(max_iter=2)), ("l", LogisticRegression())], cv=2
        ),
        xgb.XGBClassifier(n_estimators=3),
        lgb.LGBMClassifier(n_estimators=3, verbose=-1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_holds_numbers_only_is_loaded(model: Any, tmp_path: Path) -> None:
    path = in_skops(model.fit(X, GRADE), tmp_path)
    converted = convert(path, X)
    assert type(model).__name__ in converted.evidence[0]["source"]


def test_a_file_is_known_by_what_it_holds_whatever_it_is_called(tmp_path: Path) -> None:
    path = in_skops(LogisticRegression().fit(X, GRADE), tmp_path, "model.zip")
    assert convert(path, X).info.task == "classification"


def test_types_that_could_do_something_are_refused_by_name(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(np.fromfile), LogisticRegression())
    model.steps[1][1].fit(X, GRADE)
    path = in_skops(model, tmp_path)
    told = r"not known to be harmless: numpy\.fromfile; where you trust it, load it yourself, skops\.io\.load"
    with pytest.raises(Unsupported, match=told):
        convert(path, X)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "sklearn.utils.validation.check_array",
        "joblib.load",
        "numpy.load",
        "xgboost.x",
    ],
)
def test_the_list_of_harmless_types_has_no_function_that_does_something(name: str) -> None:
    assert not is_harmless(name)


def test_a_damaged_file_and_one_that_is_none_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(b"no archive")
    with pytest.raises(Malformed, match=r"model\.skops is no skops file that can be read"):
        convert(tmp_path / "model.skops", X)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        file.writestr("photo.txt", "x")
    with pytest.raises(Unsupported, match=r"is an archive \(zip\); unpack it"):
        convert(tmp_path / "photos.zip", X)


def test_a_skops_file_that_holds_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"the skops file holds a builtins\.dict"):
        convert(in_skops({"a": 1}, tmp_path), X)
