"""What a compression says of itself is read by people."""

from __future__ import annotations

import pytest

from forebay.workshop.compress.evidence import times


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        (4.83, "4.8"),
        (1.04, "1"),
        (0.524, "0.52"),
        (108.7, "110"),
        (1466.0, "1,500"),
        (2_345_678.0, "2,300,000"),
    ],
)
def test_a_ratio_is_two_digits_and_never_a_power_of_ten(ratio: float, told: str) -> None:
    assert times(ratio) == f"{told} \N{MULTIPLICATION SIGN}"
