"""Columns of categories: what a booster was fitted on as pandas categories, from any table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from forebay.core.extras import need
from forebay.workshop.convert.contract import Given
from forebay.workshop.convert.sample import columns_of, is_missing

Categories = Sequence[Sequence[Any] | None]
"""For each column its categories in the order of their codes, None for a column of numbers."""


def without_categories(given: Given, categories: Categories) -> Given:
    """The same with plain values in its sample, so that rows with words never seen can be made of it."""
    sample = given.sample
    if not any(values is not None for values in categories) or not hasattr(sample, "iloc"):
        return given
    pd = need("pandas", "boost")
    return dataclasses.replace(given, sample=pd.DataFrame(columns_of(sample)))


def as_categories(table: Any, categories: Categories) -> Any:
    """*table* as a pandas frame whose columns of categories are such; other values in them are missing.

    Without such columns it stays as it is, except for a polars frame, which boosters read through a
    library that few have.
    """
    if not any(values is not None for values in categories):
        return need("pandas", "boost").DataFrame(columns_of(table)) if hasattr(table, "schema") else table
    pd = need("pandas", "boost")
    columns = {}
    for (name, column), values in zip(columns_of(table).items(), categories, strict=True):
        if values is None:
            columns[name] = column
            continue
        listed = [
            None if missing else value for value, missing in zip(column, is_missing(column), strict=True)
        ]
        known = [value if value in set(values) else None for value in listed]
        columns[name] = pd.Categorical(known, categories=list(values))
    return pd.DataFrame(columns)
