"""Write Fisher's irises, as scikit-learn brings them, to flowers.csv: something to train on."""

from __future__ import annotations

import polars as pl
from sklearn.datasets import load_iris


def main() -> None:
    """Write 150 flowers with their four measures and their species to the folder where this is run."""
    iris = load_iris()
    measures = [name.removesuffix(" (cm)").replace(" ", "_") for name in iris.feature_names]
    species = [str(iris.target_names[kind]) for kind in iris.target]
    pl.DataFrame(iris.data, schema=measures).with_columns(species=pl.Series(species)).write_csv("flowers.csv")


if __name__ == "__main__":
    main()
