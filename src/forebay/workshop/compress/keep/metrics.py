"""The figures that a promise may speak of, as one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.workshop.compress.keep.sight import Sight

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    `points`: a share, shown and promised in hundredths. `larger`: more of it is better. `compares`:
    it is about the original already, so that a change of it means nothing. `needs` names what of the
    answers it is computed from, `labelled` whether it needs the truth. `by_class`: it may be asked
    about one class. `hits`, where the figure is a plain mean, gives each row's part of it.
    """

    name: str
    meaning: str
    figure: Callable[[Sight], float]
    needs: str = "labels"
    points: bool = True
    larger: bool = True
    labelled: bool = True
    compares: bool = False
    by_class: bool = True
    hits: Callable[[Sight], Array] | None = None

    @property
    def scale(self) -> float:
        """What a raw figure is multiplied with to be shown."""
        return 100.0 if self.points else 1.0

    def check(self, sight: Sight) -> None:
        """Raise `Malformed` where these answers cannot have such a figure: never a silent skip."""
        if self.labelled and sight.truth is None:
            raise Malformed(
                f"{self.name} needs labels, and the data has none; give them, or promise agreement>=99"
            )
        if getattr(sight.said, self.needs) is None or getattr(sight.reference, self.needs) is None:
            raise Malformed(f"{self.name} needs {_ANSWERS[self.needs]}, which this model does not give")


_ANSWERS = {
    "labels": "a chosen class for each row",
    "scores": "a probability for each class",
    "values": "numbers (a regression's or an embedding's)",
}


def _right(sight: Sight) -> Array:
    return np.asarray(sight.said.labels == sight.truth, dtype=np.float64)


def _same(sight: Sight) -> Array:
    return np.asarray(sight.said.labels == sight.reference.labels, dtype=np.float64)


def _cosines(sight: Sight) -> Array:
    said, reference = _values(sight.said.values), _values(sight.reference.values)
    sizes = np.linalg.norm(said, axis=1) * np.linalg.norm(reference, axis=1)
    both_zero = np.all(said == reference, axis=1)
    return np.where(both_zero, 1.0, np.sum(said * reference, axis=1) / np.maximum(sizes, _TINY))


def _values(values: Array | None) -> Array:
    assert values is not None
    return values.astype(np.float64).reshape(len(values), -1)


def _mean_of(hits: Callable[[Sight], Array]) -> Callable[[Sight], float]:
    def mean(sight: Sight) -> float:
        return float(np.mean(hits(sight))) if len(sight) else float("nan")

    return mean


def _class_figures(sight: Sight) -> dict[str, tuple[float, float, float]]:
    """Precision, recall and F1 of each class that is true somewhere."""
    assert sight.truth is not None
    assert sight.said.labels is not None
    found = {}
    for label in np.unique(sight.truth):
        chosen, true = sight.said.labels == label, sight.truth == label
        both = int(np.sum(chosen & true))
        precision, recall = both / max(1, int(chosen.sum())), both / max(1, int(true.sum()))
        found[str(label)] = (precision, recall, 2 * both / max(1, int(chosen.sum() + true.sum())))
    return found


def _of_classes(place: int) -> Callable[[Sight], float]:
    def figure(sight: Sight) -> float:
        found = _class_figures(sight)
        if sight.focus:
            return found[sight.focus][place] if sight.focus in found else float("nan")
        return float(np.mean([figures[place] for figures in found.values()]))

    return figure


def _auc(sight: Sight) -> float:
    """Chance that a right class gets more than a wrong one (Mann, Whitney 1947), averaged over classes."""
    assert sight.truth is not None
    assert sight.said.scores is not None
    found = []
    for place, label in enumerate(sight.said.classes):
        true = sight.truth == label
        wanted = not sight.focus or sight.focus == label
        if wanted and true.any() and not true.all():
            found.append(_auc_of(sight.said.scores[:, place].astype(np.float64), true))
    return float(np.mean(found)) if found else float("nan")


def _auc_of(scores: Array, true: Array) -> float:
    values, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    assert len(values)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # those that tie share the mean of their ranks
    positives = int(true.sum())
    above = ranks[true].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(true) - positives)))


def _log_loss(sight: Sight) -> float:
    """Mean of -log p(true class); `perplexity` is its exponential."""
    assert sight.truth is not None
    assert sight.said.scores is not None
    scores = sight.said.scores.astype(np.float64)
    columns = {label: place for place, label in enumerate(sight.said.classes)}
    places = np.array([columns.get(str(label), -1) for label in sight.truth])
    if (places < 0).any():
        raise Malformed(
            "log_loss needs a probability for each class of the data, and one is unknown to the model"
        )
    shares = scores / np.maximum(scores.sum(axis=1, keepdims=True), _TINY)
    return float(-np.mean(np.log(np.maximum(shares[np.arange(len(shares)), places], _TINY))))


def _errors(sight: Sight) -> Array:
    assert sight.truth is not None
    return _values(sight.said.values) - _values(sight.truth)


def _rmse(sight: Sight) -> float:
    return float(np.sqrt(np.mean(_errors(sight) ** 2)))


def _r2(sight: Sight) -> float:
    truth = _values(sight.truth)
    spread = float(np.sum((truth - truth.mean(axis=0)) ** 2))
    return 1.0 - float(np.sum(_errors(sight) ** 2)) / max(spread, _TINY)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "share of right labels", _mean_of(_right), hits=_right),
        Metric("macro_f1", "F1 of each class, averaged", _of_classes(2), by_class=False),
        Metric("precision", "share of right ones among what it calls a class", _of_classes(0)),
        Metric("recall", "share of a class that it finds", _of_classes(1)),
        Metric("f1", "harmonic mean of precision and recall", _of_classes(2)),
        Metric("auc", "chance that a right class gets more than a wrong one", _auc, needs="scores"),
        Metric("log_loss", "surprise at the truth", _log_loss, needs="scores", points=False, larger=False),
        Metric(
            "perplexity",
            "classes it is as unsure as between",
            lambda sight: float(np.exp(_log_loss(sight))),
            needs="scores",
            points=False,
            larger=False,
        ),
        Metric("rmse", "root of the mean squared error", _rmse, "values", points=False, larger=False),
        Metric(
            "mae",
            "mean absolute error",
            lambda sight: float(np.mean(np.abs(_errors(sight)))),
            needs="values",
            points=False,
            larger=False,
        ),
        Metric("r2", "share of the variance explained", _r2, "values", points=False),
        Metric(
            "cosine",
            "how alike the direction of its answer is to the original's",
            _mean_of(_cosines),
            needs="values",
            points=False,
            labelled=False,
            compares=True,
            hits=_cosines,
        ),
        Metric(
            "agreement",
            "share of rows labelled as the original does",
            _mean_of(_same),
            labelled=False,
            compares=True,
            hits=_same,
        ),
    )
}
