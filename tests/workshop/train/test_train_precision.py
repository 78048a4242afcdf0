"""Networks learn in bfloat16 where the machine gains by it, and say so."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.datasets import load_digits, load_iris

from forebay.workshop.train import Trained, train
from forebay.workshop.train.estimators.precision import precision_for

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")


def digits(**parameters: Any) -> Trained:
    rows, target = load_digits(return_X_y=True)
    return train(rows, target, estimator="torch-cnn", folds=2, parameters={"epochs": 6, **parameters})


def test_pictures_are_learnt_as_well_in_bfloat16_and_served_in_float32() -> None:
    trained = digits(precision="bfloat16")
    assert trained.lineage["estimator"]["precision"] == {"torch-cnn": "bfloat16"}
    assert trained.scores["accuracy"] > 0.85
    [found] = [entry for entry in trained.evidence if entry["kind"] == "parity"]
    assert found["rows_off"] == 0
    other = digits(precision="float32")
    assert other.lineage["estimator"]["precision"] == {"torch-cnn": "float32"}
    assert trained.scores["accuracy"] > other.scores["accuracy"] - 0.03


def test_auto_takes_what_this_machine_multiplies_quickly() -> None:
    able = torch.cpu.get_capabilities()
    quick = able.get("avx512_bf16") or able.get("amx_bf16")
    large = precision_for("auto", convolutional=True, width=64)
    assert large == ("bfloat16" if quick else "float32")
    assert precision_for("auto", convolutional=False, width=64) == "float32"
    trained = train(*load_iris(return_X_y=True), estimator="torch-mlp", folds=2, parameters={"epochs": 2})
    assert trained.lineage["estimator"]["precision"] == {"torch-mlp": "float32"}


def test_what_is_no_network_says_nothing_of_its_precision() -> None:
    trained = train(*load_iris(return_X_y=True), estimator="logistic-regression", folds=2)
    assert trained.lineage["estimator"]["precision"] == {}
