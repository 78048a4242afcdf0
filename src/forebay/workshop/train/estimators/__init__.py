"""The estimators on offer, each a small page: how it is made, and what of it may be tuned."""

from __future__ import annotations

from forebay.workshop.train.estimators.boosters import BOOSTERS
from forebay.workshop.train.estimators.keras_networks import KERAS
from forebay.workshop.train.estimators.linear import LINEAR
from forebay.workshop.train.estimators.offer import CLASSES, NUMBERS, QUANTILES, Asked, Estimator, Range
from forebay.workshop.train.estimators.perceptron import MLP
from forebay.workshop.train.estimators.text_networks import TEXTS
from forebay.workshop.train.estimators.torch_networks import TORCH
from forebay.workshop.train.estimators.trees import TREES
from forebay.workshop.train.estimators.wabbit import WABBIT

OFFER: dict[str, Estimator] = {
    estimator.name: estimator
    for estimator in (*LINEAR, *TEXTS, *TORCH, *TREES, *BOOSTERS, *MLP, *KERAS, *WABBIT)
}
"""By name, the quickest and the best for their data first."""

__all__ = ["CLASSES", "NUMBERS", "OFFER", "QUANTILES", "Asked", "Estimator", "Range"]
