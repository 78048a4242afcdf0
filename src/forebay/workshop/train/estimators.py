"""The estimators on offer, each in one pipeline with what it needs before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from forebay.core.errors import Malformed
from forebay.core.extras import need
from forebay.workshop.train.columns import Kind
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.recipe import AUTO, CLASSIFICATION, REGRESSION

_CATEGORIES = 50
_SLOW_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Estimator:
    """One estimator: how to make it, and whether it wants its numbers scaled and its gaps filled.

    `slow` ones take no part in `auto` beyond a hundred thousand rows.
    """

    name: str
    tasks: dict[str, Callable[[int], Any]]
    scaled: bool
    filled: bool
    slow: bool


def candidates(prepared: Prepared, wanted: str) -> list[Estimator]:
    """What *wanted* means for these rows, the quickest first."""
    task = prepared.facts.task
    fitting = [estimator for estimator in _ESTIMATORS if task in estimator.tasks]
    if wanted == AUTO:
        many = prepared.facts.rows_train > _SLOW_ROWS
        return [estimator for estimator in fitting if not (many and estimator.slow)]
    chosen = [estimator for estimator in fitting if estimator.name == wanted]
    if not chosen:
        names = ", ".join(repr(estimator.name) for estimator in fitting)
        raise Malformed(f"the estimator {wanted!r} does no {task}; there is {names}")
    return chosen


def pipeline_for(estimator: Estimator, prepared: Prepared, seed: int) -> Any:
    """The unfitted pipeline: raw columns in, answers out."""
    need("sklearn", "sklearn")
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 (heavy)
    from sklearn.pipeline import Pipeline  # noqa: PLC0415 (heavy)

    model = ("model", estimator.tasks[prepared.facts.task](seed))
    numbers = _numbers(estimator)
    if prepared.matrix:
        return Pipeline([*numbers, model])
    names = {kind: [c.name for c in prepared.facts.columns if c.kind is kind] for kind in Kind}
    branches: list[tuple[str, Any, list[str]]] = []
    if names[Kind.NUMBER]:
        branches.append(("numbers", Pipeline(numbers) if numbers else "passthrough", names[Kind.NUMBER]))
    branches.append(("texts", _texts(prepared, names[Kind.TEXT]), names[Kind.TEXT]))
    return Pipeline([("columns", ColumnTransformer(branches)), model])


def _numbers(estimator: Estimator) -> list[tuple[str, Any]]:
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 (heavy)
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 (heavy)

    steps: list[tuple[str, Any]] = []
    if estimator.filled:
        steps.append(("fill", SimpleImputer(strategy="median", keep_empty_features=True)))
    if estimator.scaled:
        steps.append(("scale", StandardScaler()))
    return steps


def _texts(prepared: Prepared, names: list[str]) -> Any:
    """One-hot of each column's commonest texts; a missing text is the text `''`, an unknown one is none."""
    import numpy as np  # noqa: PLC0415 (dtype only)
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 (heavy)
    from sklearn.pipeline import Pipeline  # noqa: PLC0415 (heavy)
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415 (heavy)

    encode = OneHotEncoder(
        categories=[_commonest(prepared, name) for name in names],
        handle_unknown="ignore",
        sparse_output=False,
        dtype=np.float32,
    )
    fill = SimpleImputer(missing_values=None, strategy="constant", fill_value="")
    return Pipeline([("fill", fill), ("encode", encode)])


def _commonest(prepared: Prepared, name: str) -> list[str]:
    counts = prepared.train[name].value_counts(name="rows_of_it").rows()
    ordered = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    return sorted(text for text, _ in ordered[:_CATEGORIES])


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (heavy)

    return LogisticRegression(max_iter=1000, random_state=seed)


def _ridge(_seed: int) -> Any:
    from sklearn.linear_model import Ridge  # noqa: PLC0415 (heavy)

    return Ridge()


def _boosted_classes(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 (heavy)

    return HistGradientBoostingClassifier(random_state=seed)


def _boosted_numbers(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 (heavy)

    return HistGradientBoostingRegressor(random_state=seed)


def _forest_of_classes(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (heavy)

    return RandomForestClassifier(100, random_state=seed)


def _forest_of_numbers(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415 (heavy)

    return RandomForestRegressor(100, random_state=seed)


def _network(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 (heavy)

    return MLPClassifier((64,), random_state=seed, max_iter=300, tol=1e-3)


_ESTIMATORS = (
    Estimator("logistic-regression", {CLASSIFICATION: _logistic}, scaled=True, filled=True, slow=False),
    Estimator("ridge", {REGRESSION: _ridge}, scaled=True, filled=True, slow=False),
    Estimator(
        "hist-gradient-boosting",
        {CLASSIFICATION: _boosted_classes, REGRESSION: _boosted_numbers},
        scaled=False,
        filled=False,
        slow=False,
    ),
    Estimator(
        "random-forest",
        {CLASSIFICATION: _forest_of_classes, REGRESSION: _forest_of_numbers},
        scaled=False,
        filled=True,
        slow=True,
    ),
    Estimator(
        "mlp",
        {CLASSIFICATION: _network},
        scaled=True,
        filled=True,
        slow=True,
    ),
)
