"""Sentences are told apart by what their words mean to the target."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import polars as pl
import pytest
import scipy
import sklearn

from forebay.core.errors import ForebayError
from forebay.serving.runtime import Budget, open_backend
from forebay.workshop.convert import verify
from forebay.workshop.train import train

pytestmark = pytest.mark.slow
pytest.importorskip("torch")


def sentences(rows: int = 400) -> pl.DataFrame:
    """The first sentences of what two libraries say about themselves, *rows* of each."""
    found = []
    for library in (scipy, sklearn):
        named = re.compile(rf"{library.__name__}|scikit-learn", re.IGNORECASE)
        texts = dict.fromkeys(
            named.sub("", text) for text in _docstrings(Path(library.__file__ or "").parent)
        )
        found += [(text, library.__name__) for text in texts if len(text.split()) > 5][:rows]
    return pl.DataFrame(found, schema=["text", "library"], orient="row")


def _docstrings(root: Path) -> list[str]:
    paths = sorted(path for path in root.rglob("*.py") if "tests" not in path.parts)[:250]
    nodes = (node for path in paths for node in ast.walk(ast.parse(path.read_text())))
    kinds = (ast.FunctionDef, ast.ClassDef)
    told = (ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds))
    return [" ".join(text.partition("\n\n")[0].split()) for text in told]


def test_sentences_are_told_apart_by_an_embedding_and_asked_as_they_are_written(tmp_path: Path) -> None:
    frame = sentences()
    trained = train(frame, "library", estimator="text-embedding", folds=2)
    assert trained.scores["accuracy"] > 0.75
    assert trained.evidence[0]["baseline"]["accuracy"] < 0.6
    [found] = [entry for entry in trained.evidence if entry["kind"] == "parity"]
    assert found["rows_off"] <= 0.01 * found["rows"]
    trained.save(tmp_path)
    info, _ = verify(tmp_path)
    texts = frame["text"].to_numpy().reshape(-1, 1)
    answer = open_backend(tmp_path, info, Budget()).run({"text": texts}, ["label"])
    labels = [label.decode() if isinstance(label, bytes) else label for label in answer["label"]]
    assert sum(map(str.__eq__, labels, frame["library"])) > 0.8 * frame.height


def test_auto_considers_an_embedding_where_there_are_sentences() -> None:
    trained = train(sentences(150), "library", folds=2)
    compared = {one["estimator"]: one["mean"] for one in trained.evidence[1]["candidates"]}
    assert {"text-embedding", "logistic-regression"} <= compared.keys()
    assert all("macro_f1" in mean for mean in compared.values())


def test_numbers_stand_beside_sentences() -> None:
    frame = sentences(150)
    target = pl.Series("words", [float(len(text.split())) for text in frame["text"]])
    frame = frame.drop("library").with_columns(letters=frame["text"].str.len_chars(), words=target)
    trained = train(frame, "words", task="regression", estimator="text-embedding", folds=2)
    assert trained.scores["r2"] > 0.4


def test_a_table_without_sentences_has_no_use_for_it() -> None:
    frame = pl.DataFrame(
        {"a": range(100), "b": [n % 3 for n in range(100)], "y": [n % 2 for n in range(100)]}
    )
    with pytest.raises(ForebayError, match="'text-embedding' does no classification of such rows"):
        train(frame, "y", estimator="text-embedding")
