"""Which versions are in memory, and who makes room for whom.

It knows no clock, no thread and no socket, so that a property test can play it. Whoever drives it does
one move after the other: those who leave are closed (`went`), then the one who comes is loaded (`came`
or `failed`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Place(Enum):
    """Where a version is: on the disk alone, or on its way in, in, or on its way out of memory."""

    AWAY = auto()
    COMING = auto()
    HERE = auto()
    GOING = auto()


class Obstacle(Enum):
    """What stands in the way for good: the version's own size, or what is pinned."""

    LARGE = auto()
    PINNED = auto()


@dataclass(frozen=True, slots=True)
class Move(Generic[Key]):
    """Who leaves now, and who is loaded once they are gone."""

    load: Key | None
    leave: tuple[Key, ...]


@dataclass(slots=True)
class _Known:
    size_bytes: int
    pinned: bool = False
    place: Place = Place.AWAY
    parting: bool = False
    dropped: bool = False


class Residency(Generic[Key]):
    """Versions within a budget of bytes; the least recently used make room, the pinned and the busy never.

    A *parting* version, which another one is about to replace, makes room as the last, pinned and busy or
    not. The size of a version is an estimate until it has been loaded, and measured from then on.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self._known: dict[Key, _Known] = {}
        self._here: dict[Key, None] = {}
        self._urgent: dict[Key, None] = {}
        self._patient: dict[Key, None] = {}
        self._coming: Key | None = None

    def add(self, key: Key, size_bytes: int) -> None:
        """*key* may be wanted from now on; it takes about *size_bytes*."""
        self._known[key] = _Known(size_bytes)

    def drop(self, key: Key) -> bool:
        """*key* is not to be had any more; whether it is in memory, and somebody has to close it.

        What it takes counts until it `went`; one that is on its way in is refused when it `came`.
        """
        self.unwant(key)
        known = self._known[key]
        known.dropped = True
        if known.place is Place.HERE:
            self._go(key, known)
            return True
        if known.place is Place.AWAY:
            del self._known[key]
        return False

    def pin(self, key: Key, *, pinned: bool) -> None:
        """Whether *key* stays in memory once it is there."""
        self._known[key].pinned = pinned

    def part(self, key: Key, *, parting: bool) -> None:
        """Whether *key* is about to be replaced."""
        self._known[key].parting = parting

    def place(self, key: Key) -> Place:
        """Where *key* is."""
        return self._known[key].place

    def size_bytes(self, key: Key) -> int:
        """What *key* takes: as it was measured last, or about."""
        return self._known[key].size_bytes

    def want(self, key: Key, *, urgent: bool) -> None:
        """Somebody waits for *key*, or (not urgent) it is to show that it works. All share one load."""
        known = self._known[key]
        if known.dropped or known.place in (Place.COMING, Place.HERE):
            return
        if urgent:
            self._patient.pop(key, None)
            self._urgent[key] = None
        elif key not in self._urgent:
            self._patient[key] = None

    def unwant(self, key: Key) -> None:
        """Nobody waits for *key* any more."""
        self._urgent.pop(key, None)
        self._patient.pop(key, None)

    @property
    def wanted(self) -> Iterator[Key]:
        """Who is to be loaded, the urgent first, in the order in which they were asked for."""
        yield from self._urgent
        yield from self._patient

    @property
    def urgent(self) -> tuple[Key, ...]:
        """For whom somebody waits."""
        return tuple(self._urgent)

    def obstacle(self, key: Key) -> Obstacle | None:
        """Why *key*, which is not in memory, can never come as things are; None when it has but to wait."""
        return self._obstacle(key, self._pinned_bytes())

    def blocked(self) -> list[tuple[Key, Obstacle]]:
        """Who is wanted and can never come as things are."""
        pinned_bytes = self._pinned_bytes()
        found = ((key, self._obstacle(key, pinned_bytes)) for key in self.wanted)
        return [(key, obstacle) for key, obstacle in found if obstacle is not None]

    def next(self, used: Callable[[Key], float], busy: Callable[[Key], bool]) -> Move[Key] | None:
        """What is to be done now; None when nothing is, or nothing can be.

        *used* says how recently a version in memory was used (larger is later), *busy* whether it has
        requests; both are asked only when somebody has to leave.
        """
        if self._coming is not None:
            return None
        over_bytes = self.used_bytes - self.budget_bytes
        candidates: list[Key] | None = None
        if over_bytes > 0 and (candidates := self._candidates(used, busy)):
            return self._begin(None, self._first(candidates, over_bytes))
        for key in self.wanted:
            known = self._known[key]
            need_bytes = over_bytes + known.size_bytes
            if need_bytes <= 0:
                return self._begin(key, [])
            if candidates is None:
                candidates = self._candidates(used, busy)
            if need_bytes <= self._sum(candidates):
                return self._begin(key, self._first(candidates, need_bytes))
        return None

    def came(self, key: Key, size_bytes: int) -> bool:
        """*key* is loaded and takes *size_bytes*; False when it has to be closed again at once."""
        known = self._known[key]
        self._coming = None
        self.used_bytes += size_bytes - known.size_bytes
        known.size_bytes = size_bytes
        known.place = Place.HERE
        self._here[key] = None
        if known.dropped or size_bytes > self.budget_bytes:
            self._go(key, known)
            return False
        return True

    def failed(self, key: Key) -> None:
        """*key* could not be loaded."""
        self._coming = None
        self._left(key)

    def went(self, key: Key) -> None:
        """*key* is closed, and its memory given back."""
        self._left(key)

    def _obstacle(self, key: Key, pinned_bytes: int) -> Obstacle | None:
        size_bytes = self._known[key].size_bytes
        if size_bytes > self.budget_bytes:
            return Obstacle.LARGE
        return Obstacle.PINNED if size_bytes + pinned_bytes > self.budget_bytes else None

    def _pinned_bytes(self) -> int:
        here = (self._known[key] for key in self._here)
        return sum(known.size_bytes for known in here if known.pinned and not known.parting)

    def _begin(self, key: Key | None, leave: list[Key]) -> Move[Key]:
        for each in leave:
            self._go(each, self._known[each])
        if key is not None:
            self.unwant(key)
            known = self._known[key]
            assert known.place is Place.AWAY, "whoever leaves is gone before the next move"
            known.place = Place.COMING
            self.used_bytes += known.size_bytes
            self._coming = key
        return Move(key, tuple(leave))

    def _go(self, key: Key, known: _Known) -> None:
        known.place = Place.GOING
        del self._here[key]

    def _left(self, key: Key) -> None:
        known = self._known[key]
        known.place = Place.AWAY
        self.used_bytes -= known.size_bytes
        if known.dropped:
            del self._known[key]

    def _candidates(self, used: Callable[[Key], float], busy: Callable[[Key], bool]) -> list[Key]:
        """Who may leave, in the order in which they should."""
        others = [(key, self._known[key]) for key in self._here]
        idle = [key for key, known in others if not (known.pinned or known.parting or busy(key))]
        return sorted(idle, key=used) + [key for key, known in others if known.parting]

    def _first(self, candidates: list[Key], need_bytes: int) -> list[Key]:
        """As many of the first *candidates* as free *need_bytes*, or all."""
        leave = []
        for key in candidates:
            if need_bytes <= 0:
                break
            leave.append(key)
            need_bytes -= self._known[key].size_bytes
        return leave

    def _sum(self, keys: list[Key]) -> int:
        return sum(self._known[key].size_bytes for key in keys)
