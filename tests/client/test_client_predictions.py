"""Answers, the way a notebook wants them."""

from __future__ import annotations

import numpy as np
import pytest

from forebay.client import Predictions
from forebay.core.errors import Malformed

CLASSES = Predictions(
    "digits",
    2,
    [
        {"label": 3, "probabilities": {"3": 0.9, "8": 0.1}},
        {"label": 8, "probabilities": {"3": 0.25, "8": 0.75}},
    ],
)
NUMBERS = Predictions("prices", 1, [{"prediction": 1.5}, {"prediction": 2.5}])


def test_labels_and_probabilities_come_as_arrays() -> None:
    assert CLASSES.labels.tolist() == [3, 8]
    assert CLASSES.classes == ["3", "8"]
    np.testing.assert_array_equal(CLASSES.probabilities, [[0.9, 0.1], [0.25, 0.75]])


def test_numbers_come_as_an_array() -> None:
    np.testing.assert_array_equal(NUMBERS.values, [1.5, 2.5])


def test_asking_for_labels_of_a_regression_says_what_there_is() -> None:
    with pytest.raises(Malformed, match=r"prices:1 answers no 'label', but \['prediction'\]"):
        _ = NUMBERS.labels


def test_rows_are_plain_dicts_and_slices_are_predictions() -> None:
    assert CLASSES[0]["label"] == 3
    assert [row["label"] for row in CLASSES] == [3, 8]
    assert CLASSES[1:].labels.tolist() == [8]
    assert len(CLASSES) == 2


def test_a_look_at_them_says_the_model_the_version_and_the_first_answers() -> None:
    assert repr(CLASSES) == "<2 predictions of digits:2: 3, 8>"
    assert repr(NUMBERS[:1]) == "<1 prediction of prices:1: 1.5>"


def test_a_notebook_shows_a_table_and_no_label_can_break_it() -> None:
    page = Predictions("m", 1, [{"label": "<script>", "probabilities": {"<script>": 1.0}}])._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "1 rows" not in page or "of m:1" in page
