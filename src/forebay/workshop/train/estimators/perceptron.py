"""scikit-learn's own small network."""

from __future__ import annotations

from typing import Any

from forebay.workshop.train.estimators.offer import CLASSES, Asked, Estimator, Range


def _network_of_classes(asked: Asked) -> Any:
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 (heavy)

    return MLPClassifier(**_network(asked))


def _network(asked: Asked) -> dict[str, Any]:
    width = int(asked.params.get("width", 64))
    others = {name: value for name, value in asked.params.items() if name != "width"}
    still = {"max_iter": 300, "tol": 1e-3, "random_state": asked.seed}
    return {"hidden_layer_sizes": (width,), **still, **others}


MLP = (
    Estimator(
        "mlp",
        {CLASSES: _network_of_classes},
        {
            "width": (16, 32, 64, 128, 256),
            "alpha": Range(1e-6, 1.0, log=True),
            "learning_rate_init": Range(3e-4, 1e-2, log=True),
        },
        scaled=True,
        filled=True,
        rows_heavy=True,
    ),
)
