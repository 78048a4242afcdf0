"""Who has the permits of one limit: the sum of what is shared out never exceeds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from forebay.core import CallLimit, Lease, PermitsAsked

LEASE_S = 30.0
"""How long a worker may spend its permits without a word from a hub."""
WRITTEN_S = 10.0
"""A word that changes nothing is written down so long after the last one, for other hubs to see."""
_CALL_S = 60.0
_UNMET_S = 3.0


@dataclass(slots=True)
class _Share:
    permits: int
    until_s: float
    number: int = 0
    unmet_until_s: float = 0.0
    written_s: float = -inf


class PermitBook:
    """The permits of one limit, by holder. It knows no clock: times are of one that never jumps."""

    def __init__(self) -> None:
        self._shares: dict[str, _Share] = {}

    @property
    def shares(self) -> dict[str, int]:
        """How many permits each holder may have."""
        return {holder: share.permits for holder, share in self._shares.items()}

    def see(self, written: Mapping[str, tuple[int, int]], now_s: float) -> None:
        """What is written down, by this hub or another: permits, and the number of the holder's last word.

        A number that is new here is a word that may have been said just now.
        """
        seen = {}
        for holder, (permits, number) in written.items():
            share = self._shares.get(holder)
            if share is None or share.number != number:
                share = _Share(permits, _end(now_s), number, 0.0 if share is None else share.unmet_until_s)
            share.permits = permits
            seen[holder] = share
        self._shares = seen

    def is_old(self, holder: str, number: int) -> bool:
        """Whether a later word of *holder* has been heard already."""
        return holder in self._shares and number <= self._shares[holder].number

    def is_due(self, holder: str, now_s: float) -> bool:
        """Whether it is time to write down that *holder* is still there."""
        return now_s >= self._shares[holder].written_s + WRITTEN_S

    def note(self, holder: str, number: int, now_s: float) -> None:
        """The word of this number is written down."""
        share = self._shares[holder]
        share.number, share.written_s = number, now_s

    def answer(self, limit: CallLimit, holder: str, ask: PermitsAsked, now_s: float) -> Lease:
        """Take back what *holder* does not have any more, and give it what is free, as it would like.

        While others have got too little, the ceiling is an equal part.
        """
        self._forget(limit, now_s)
        mine = self._shares.setdefault(holder, _Share(0, 0.0))
        mine.permits = min(mine.permits, max(0, ask.held))
        free = max(0, limit.amount - sum(share.permits for share in self._shares.values()))
        granted = min(max(0, ask.more), free)
        mine.permits += granted
        mine.until_s = _end(now_s)
        mine.unmet_until_s = now_s + _UNMET_S if ask.more > granted else 0.0
        return Lease(mine.permits, free - granted, self._ceiling(limit, mine, now_s))

    def _ceiling(self, limit: CallLimit, mine: _Share, now_s: float) -> int:
        others = [share for share in self._shares.values() if share is not mine]
        if all(share.unmet_until_s <= now_s for share in others):
            return limit.amount
        takers = 1 + sum(1 for share in others if share.permits or share.unmet_until_s > now_s)
        return max(1, limit.amount // takers)

    def _forget(self, limit: CallLimit, now_s: float) -> None:
        """A silent holder's permits are free when the last, spent as its lease ended, has cooled."""
        cool_s = limit.period_s or _CALL_S
        self._shares = {
            holder: share
            for holder, share in self._shares.items()
            if now_s < share.until_s + (cool_s if share.permits else 0.0)
        }


def _end(now_s: float) -> float:
    """When a lease ends whose holder was heard by now, or by another hub that has not written it down yet."""
    return now_s + LEASE_S + WRITTEN_S
