"""Who is in memory, played at random: the budget is kept, nobody busy leaves, nobody is forgotten."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from forebay.serving.engine.residency import Move, Obstacle, Place, Residency

sizes = st.integers(1, 12)


class Model:
    """What the game knows of one version."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self.busy = self.pinned = self.parting = self.dropped = False
        self.place = Place.AWAY


class Game(RuleBasedStateMachine):
    """A driver that does the moves in its own time, while callers, pins and deployments come and go."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[int, Model] = {}
        self.urgent: list[int] = []
        self.patient: list[int] = []
        self.clock = self.count = 0
        self.move: Move[int] | None = None
        self.leaving: list[int] = []
        self.residency: Residency[int] = Residency(0)

    @initialize(
        target=keys, budget=st.integers(6, 16), sizes=st.lists(st.integers(1, 6), min_size=4, max_size=8)
    )
    def start(self, budget: int, sizes: list[int]) -> MultipleResults[int]:
        self.residency = Residency(budget)
        return multiple(*map(self.add, sizes))

    # What happens around it.

    @rule(target=keys, size=sizes)
    def another(self, size: int) -> int:
        return self.add(size)

    def add(self, size: int) -> int:
        self.count += 1
        self.models[self.count] = Model(size)
        self.residency.add(self.count, size)
        return self.count

    @rule(key=keys, urgent=st.booleans())
    def want(self, key: int, urgent: bool) -> None:
        self.residency.want(key, urgent=urgent)
        if self.models[key].place in (Place.COMING, Place.HERE) or key in self.urgent:
            return
        if urgent:
            self._forget(key)
            self.urgent.append(key)
        elif key not in self.patient:
            self.patient.append(key)

    @rule(key=keys)
    def give_up(self, key: int) -> None:
        self.residency.unwant(key)
        self._forget(key)

    @precondition(lambda self: self.here)
    @rule(data=st.data(), busy=st.booleans())
    def use(self, data: st.DataObject, busy: bool) -> None:
        """A request that is answered at once, or stays for a while."""
        model = self.models[data.draw(st.sampled_from(self.here))]
        self.clock += 1
        model.used, model.busy = self.clock, busy

    @rule(key=keys, pinned=st.booleans())
    def pin(self, key: int, pinned: bool) -> None:
        self.models[key].pinned = pinned
        self.residency.pin(key, pinned=pinned)

    @rule(key=keys, parting=st.booleans())
    def part(self, key: int, parting: bool) -> None:
        self.models[key].parting = parting
        self.residency.part(key, parting=parting)

    @rule(key=consumes(keys))
    def drop(self, key: int) -> None:
        model = self.models[key]
        self._forget(key)
        model.dropped = True
        assert self.residency.drop(key) == (model.place is Place.HERE)
        if model.place is Place.HERE:
            model.place = Place.GOING
            self.leaving.append(key)
        elif model.place is Place.AWAY:
            del self.models[key]

    # What the driver does.

    @precondition(lambda self: self.move is None)
    @rule()
    def do_the_next_move(self) -> None:
        models = {key: model for key, model in self.models.items() if model.place is Place.HERE}
        idle = [key for key, m in models.items() if not (m.busy or m.pinned or m.parting)]
        last = [key for key, m in models.items() if m.parting]
        used_before = self.residency.used_bytes
        move = self.residency.next(lambda key: self.models[key].used, lambda key: self.models[key].busy)
        room = self.residency.budget_bytes - used_before + sum(models[key].size for key in (*idle, *last))
        if move is None:
            self._check_that_nothing_could_be_done(used_before, room, bool(idle or last))
            return
        self.move = move
        self._check_who_leaves(move, idle, last, used_before)
        for key in move.leave:
            self.models[key].place = Place.GOING
            self.leaving.append(key)
        if move.load is not None:
            self._check_who_comes(move.load, room)
            self._forget(move.load)
            self.models[move.load].place = Place.COMING

    @precondition(lambda self: self.move is None)
    @rule(key=keys, urgent=st.booleans())
    def want_and_work(self, key: int, urgent: bool) -> None:
        """A driver that has nothing else to do."""
        self.want(key, urgent)
        self.work()

    def work(self) -> None:
        self.do_the_next_move()
        for key in list(self.leaving):
            self.closed(key)
        if self.move is not None:
            self.load(None if self.move.load is None else self.models[self.move.load].size)

    @precondition(lambda self: self.leaving)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.closed(data.draw(st.sampled_from(self.leaving)))

    def closed(self, key: int) -> None:
        self.leaving.remove(key)
        self.residency.went(key)
        self._left(key)
        self._finish()

    @precondition(lambda self: self.move is not None and not set(self.move.leave) & set(self.leaving))
    @rule(size=st.none() | sizes)
    def load(self, size: int | None) -> None:
        """None: it could not be loaded. Another size than thought: it was weighed."""
        assert self.move is not None
        key, self.move = self.move.load, None
        if key is None:
            return
        model = self.models[key]
        if size is None:
            self.residency.failed(key)
            self._left(key)
            return
        model.size = size
        stays = self.residency.came(key, size)
        assert stays == (not model.dropped and size <= self.residency.budget_bytes)
        model.place = Place.HERE if stays else Place.GOING
        if not stays:
            self.leaving.append(key)

    # What holds.

    @invariant()
    def what_is_counted_is_there(self) -> None:
        there = [model.size for model in self.models.values() if model.place is not Place.AWAY]
        assert self.residency.used_bytes == sum(there)
        assert all(self.residency.place(key) is model.place for key, model in self.models.items())
        assert list(self.residency.wanted) == self.wanted
        pinned = [self.models[key] for key in self.here]
        most = self.residency.budget_bytes - sum(m.size for m in pinned if m.pinned and not m.parting)
        assert [key for key, _ in self.residency.blocked()] == [
            key for key in self.wanted if self.models[key].size > most
        ]

    def teardown(self) -> None:
        """When everybody is idle and nothing is pinned, all who are wanted and fit get their turn."""
        for key, model in self.models.items():
            model.busy = False
            if not model.dropped:
                self.pin(key, False)
        for _ in range(4 * len(self.models) + 4):
            if self.move is None:
                self.work()
            for key in list(self.leaving):
                self.closed(key)
            if self.move is not None:
                self.load(None if self.move.load is None else self.models[self.move.load].size)
        large = [self.models[key].size > self.residency.budget_bytes for key in self.wanted]
        assert all(large), "somebody was forgotten"
        assert self.residency.used_bytes <= self.residency.budget_bytes

    def _check_that_nothing_could_be_done(self, used: int, room: int, somebody: bool) -> None:
        assert not (used > self.residency.budget_bytes and somebody), "too much stays in memory"
        for key in self.wanted:
            model = self.models[key]
            assert model.place is Place.GOING or model.size > room, "somebody waits in vain"

    def _check_who_leaves(self, move: Move[int], idle: list[int], last: list[int], used: int) -> None:
        leave = list(move.leave)
        assert set(leave) <= {*idle, *last}, "somebody busy or pinned had to leave"
        order = [self.models[key].used for key in leave if key in idle]
        stay = [self.models[key].used for key in idle if key not in leave]
        assert order == sorted(order)
        assert not (order and stay) or order[-1] <= min(stay), "not the least recently used left"
        assert not (stay and set(leave) & set(last)), "one who is to step aside last was first"
        need = used - self.residency.budget_bytes
        need += 0 if move.load is None else self.models[move.load].size
        freed = [self.models[key].size for key in leave]
        assert not leave or sum(freed[:-1]) < need, "somebody left for nothing"
        if move.load is not None:
            assert sum(freed) >= need, "the budget is not kept"

    def _check_who_comes(self, key: int, room: int) -> None:
        assert self.models[key].place is Place.AWAY, "it is loaded twice"
        for other in self.wanted[: self.wanted.index(key)]:
            model = self.models[other]
            assert model.place is Place.GOING or model.size > room, "somebody was overtaken"

    @property
    def here(self) -> list[int]:
        return [key for key, model in self.models.items() if model.place is Place.HERE]

    @property
    def wanted(self) -> list[int]:
        return self.urgent + self.patient

    def _forget(self, key: int) -> None:
        self.urgent = [each for each in self.urgent if each != key]
        self.patient = [each for each in self.patient if each != key]

    def _left(self, key: int) -> None:
        model = self.models[key]
        model.place = Place.AWAY
        if model.dropped:
            del self.models[key]

    def _finish(self) -> None:
        if self.move is not None and self.move.load is None and not set(self.move.leave) & set(self.leaving):
            self.move = None


TestResidency = Game.TestCase


def place_all(residency: Residency[str], **sizes: int) -> None:
    for key, size in sizes.items():
        residency.add(key, size)
        residency.want(key, urgent=False)
        assert residency.next(lambda _: 0, lambda _: False) == Move(key, ())
        assert residency.came(key, size)


def test_the_least_recently_used_make_room_and_no_more_than_needed() -> None:
    residency: Residency[str] = Residency(10)
    place_all(residency, a=3, b=3, c=3)
    residency.add("d", 5)
    residency.want("d", urgent=True)
    used = {"a": 9.0, "b": 1.0, "c": 5.0}
    assert residency.next(used.__getitem__, lambda _: False) == Move("d", ("b", "c"))


def test_what_can_never_fit_is_known_before_anybody_leaves() -> None:
    residency: Residency[str] = Residency(10)
    place_all(residency, a=6)
    residency.add("large", 11)
    residency.add("b", 5)
    assert residency.obstacle("large") is Obstacle.LARGE
    assert residency.obstacle("b") is None
    residency.pin("a", pinned=True)
    assert residency.obstacle("b") is Obstacle.PINNED
    residency.part("a", parting=True)
    assert residency.obstacle("b") is None, "what is about to be replaced makes room, pinned or not"


def test_one_that_turns_out_larger_than_thought_makes_others_leave() -> None:
    residency: Residency[str] = Residency(10)
    place_all(residency, a=3, b=3)
    residency.add("c", 4)
    residency.want("c", urgent=True)
    assert residency.next(lambda _: 0, lambda _: False) == Move("c", ())
    assert residency.came("c", 6)
    assert residency.next({"a": 2.0, "b": 1.0, "c": 3.0}.__getitem__, lambda _: False) == Move(None, ("b",))
