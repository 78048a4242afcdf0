"""Files that are code: refused with the line to type, and converted in a child where their owner says so."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert import Different, convert, verify
from forebay.workshop.convert.trusted import load_pickle

PEOPLE = {"age": [float(n * 13 % 80) for n in range(60)], "city": ["york", "lima", "bonn"] * 20}
BUYS = ["yes" if n * 13 % 80 > 40 else "no" for n in range(60)]


class Tells:
    """Code in a pickle: writes down what it sees of its process."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        script = f"import os; open({str(self.where)!r}, 'w').write('\\n'.join([os.getcwd(), *os.environ]))"
        return exec, (script,)


def shop(path: Path) -> Path:
    prepare = ColumnTransformer(
        [("city", OneHotEncoder(handle_unknown="ignore"), ["city"])], remainder="passthrough"
    )
    joblib.dump(make_pipeline(prepare, LogisticRegression()).fit(pd.DataFrame(PEOPLE), BUYS), path)
    return path


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "MODEL.PICKLE", "model.bin"])
def test_a_pickle_is_never_opened_and_the_line_to_type_is_said(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Tells(tmp_path / "pwned")))
    with pytest.raises(Unsupported, match=r"forebay publish .* --trust; or load it yourself: .*joblib\.load"):
        convert(path, np.zeros((1, 1)))
    with pytest.raises(Unsupported, match="only in a child process, with --trust"):
        load_pickle(path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_trusted_pickle_is_converted_and_proved_in_a_child(
    frame: Callable[[Any], Any], tmp_path: Path
) -> None:
    converted = convert(shop(tmp_path / "shop.joblib"), frame(PEOPLE), trust=True)
    assert [spec.name for spec in converted.signature.inputs] == ["age", "city"]
    assert converted.signature.output("probabilities").columns == ("no", "yes")
    assert converted.evidence[0]["outputs"]["label"] == {"equal": 1.0}
    converted.save(tmp_path / "artifact")
    assert verify(tmp_path / "artifact")[0] == converted.info


@pytest.mark.slow
def test_a_trusted_pickle_of_a_matrix_model_takes_its_sample_from_a_file(tmp_path: Path) -> None:
    rows = np.arange(40.0).reshape(20, 2)
    joblib.dump(LogisticRegression().fit(rows, [0, 1] * 10), tmp_path / "model.joblib")
    np.save(tmp_path / "rows.npy", rows)
    converted = convert(tmp_path / "model.joblib", tmp_path / "rows.npy", columns=["a", "b"], trust=True)
    assert converted.signature.inputs[0].columns == ("a", "b")


@pytest.mark.slow
def test_the_child_sees_one_folder_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_KEY", "fb-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Tells(tmp_path / "seen")))
    with pytest.raises(Unsupported, match=r"the pickle holds a builtins\.NoneType"):
        convert(tmp_path / "model.pkl", np.zeros((1, 1)), trust=True)
    folder, *variables = (tmp_path / "seen").read_text().split("\n")
    assert Path(folder).name.startswith("forebay-apart-")
    assert not Path(folder).exists()
    assert not {"FOREBAY_KEY", "AWS_SECRET_ACCESS_KEY"} & set(variables)
    assert {"FOREBAY_KEY", "AWS_SECRET_ACCESS_KEY"} <= set(os.environ)


@pytest.mark.slow
def test_what_a_child_refuses_is_told_as_if_it_had_been_refused_here(tmp_path: Path) -> None:
    path = shop(tmp_path / "shop.joblib")
    with pytest.raises(Malformed, match="the model itself refuses the sample"):
        convert(path, pd.DataFrame({"years": [1.0]}), trust=True)
    with pytest.raises(Different, match="worst is row"):
        convert(path, pd.DataFrame(PEOPLE), tolerance=0.0, trust=True)
    (tmp_path / "broken.pkl").write_bytes(b"\x80\x04nothing")
    with pytest.raises(Malformed, match="loading or converting it failed"):
        convert(tmp_path / "broken.pkl", pd.DataFrame(PEOPLE), trust=True)


@pytest.mark.slow
def test_a_server_does_not_even_load_the_code_that_could_open_a_pickle() -> None:
    look = "import sys, forebay.app.hub, forebay.serving.node, forebay.control.hub.work.kinds\n"
    look += "print(sorted({'forebay.workshop.convert.trusted', 'joblib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
