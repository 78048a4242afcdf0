"""skops: scikit-learn's models on disk, without code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.recognising import called
from forebay.workshop.convert.running import first_line

_PARTS = (
    "sklearn._loss.loss.",
    "sklearn.calibration.",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc.",
    "sklearn.gaussian_process.kernels.",
    "sklearn.metrics._dist_metrics.",
    "sklearn.neighbors._ball_tree.",
    "sklearn.neighbors._kd_tree.",
    "sklearn.neural_network._stochastic_optimizers.",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGB",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBM",
)
"""Beginnings of types that skops does not know and that hold numbers only: all their methods for being
loaded set attributes, or hand bytes to a parser that reads a model file of theirs as well."""
_EXACT = frozenset(
    {
        "collections.OrderedDict",
        "numpy.dtype",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
    }
)


class SkopsFile:
    """A model that `skops.io.dump` wrote; what it holds is drafted by whoever knows that."""

    name = "skops files"

    def knows(self, model: object) -> bool:  # noqa: ARG002 (the contract's)
        return False

    def reads(self, path: Path) -> bool:
        if path.suffix.lower() == ".skops":
            return True
        if not path.is_file() or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as file:
            return "schema.json" in file.namelist()

    def runs_code(self, path: Path) -> str | None:  # noqa: ARG002 (the contract's)
        return None

    def load(self, path: Path) -> Any:
        io = need("skops.io", "sklearn")
        try:
            unknown = io.get_untrusted_types(file=path)
            strange = sorted(name for name in unknown if not is_harmless(name))
            if not strange:
                return io.load(path, trusted=unknown)
        except Exception as error:  # skops raises whatever a damaged file leads to
            raise Malformed(f"{path.name} is no skops file that can be read: {first_line(error)}") from error
        raise Unsupported(
            f"{path.name} holds types that are not known to be harmless: {', '.join(strange)}; where you "
            f"trust it, load it yourself, skops.io.load({str(path)!r}, trusted=[…]), and publish the model"
        )

    def draft(self, model: Any, given: Given) -> Draft:  # noqa: ARG002 (the contract's)
        raise Unsupported(f"the skops file holds a {called(model)}, which nobody here converts")


def is_harmless(name: str) -> bool:
    """Whether the type called *name* may be loaded."""
    return name in _EXACT or name.startswith(_PARTS)
