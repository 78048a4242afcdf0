"""What proves has been seen by nothing before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.errors import Malformed
from forebay.workshop.compress.parts import NAMES, Rows, divide


def some_rows(count: int = 300) -> Rows:
    draw = np.random.default_rng(2)
    inputs = {"x": draw.normal(size=(count, 3)).astype(np.float32)}
    return Rows(inputs, draw.choice(["a", "b", "rare"], count, p=[0.5, 0.4, 0.1]))


@given(st.integers(0, 5), st.integers(60, 200))
def test_every_row_is_in_one_part_and_twins_stay_together(seed: int, count: int) -> None:
    values = np.random.default_rng(seed).integers(0, 60, (count, 1)).astype(np.float32)
    values[:60, 0] = np.arange(60)
    parts = divide(Rows({"x": values}), seed)
    together = np.concatenate([parts.places[name] for name in NAMES])
    assert sorted(together) == list(range(count))
    seen = [set(part.inputs["x"][:, 0]) for part in (parts.tune, parts.choose, parts.final)]
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_every_class_gives_each_part_its_share() -> None:
    rows = some_rows(1000)
    parts = divide(rows)
    for part, share in ((parts.tune, 0.3), (parts.choose, 0.2), (parts.final, 0.5)):
        assert part.truth is not None
        assert rows.truth is not None
        for label in ("a", "b", "rare"):
            assert np.sum(part.truth == label) == pytest.approx(share * np.sum(rows.truth == label), abs=2)


def test_the_same_seed_cuts_alike_and_another_seed_does_not() -> None:
    one, same, other = (divide(some_rows(), seed).described() for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_a_digest_knows_every_value_and_name() -> None:
    rows = some_rows()
    renamed = Rows({"y": rows.inputs["x"]}, rows.truth)
    changed = Rows({"x": rows.inputs["x"] + np.float32(1e-3)}, rows.truth)
    unlabelled = Rows(rows.inputs)
    assert len({each.digest for each in (rows, renamed, changed, unlabelled)}) == 4
    assert rows.digest == some_rows().digest


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(Malformed, match="give more rows"):
        divide(some_rows(20))
    with pytest.raises(Malformed, match="give more rows"):
        divide(Rows({"x": np.zeros((5000, 2), np.float32)}))
    with pytest.raises(Malformed, match="the labels has 3 rows"):
        Rows({"x": np.zeros((4, 1), np.float32)}, np.array(["a", "b", "c"]))
