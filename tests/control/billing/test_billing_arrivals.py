"""Each sequence number is taken over once, in whatever order shipments arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forebay.control.billing.arrivals import Run, arrive

runs = st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(shipments=st.lists(runs, max_size=30))
def test_every_number_is_taken_once_and_what_is_missing_is_known(shipments: list[Run]) -> None:
    held: list[int] = []
    gaps: tuple[Run, ...] = ()
    next_seq = 0
    for first, end in shipments:
        arrival = arrive(first, end, next_seq, gaps)
        held += [seq for run in arrival.new for seq in range(*run)]
        gaps, next_seq = arrival.gaps, arrival.next_seq
        missing = [seq for gap in gaps for seq in range(*gap)]
        assert sorted(held + missing) == list(range(next_seq))
    assert set(held) == {seq for run in shipments for seq in range(*run)}
