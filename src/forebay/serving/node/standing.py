"""How far each version is, and whether every deployment has answered: kept up, never counted anew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec

from forebay.core import LoadState

Name = tuple[str, str]
"""Project and model."""


class Standing:
    """The states of all versions by name. *changed* is told of every change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._states: dict[Name, dict[int, LoadState]] = {}
        self._settled: set[Name] = set()
        self._unready: set[Name] = set()
        self._all: tuple[LoadState, ...] | None = ()

    @property
    def ready(self) -> bool:
        """Whether every deployment has answered once, or has said why it cannot."""
        return not self._unready

    def states(self, troubles: Mapping[tuple[str, str, int], str]) -> tuple[LoadState, ...]:
        """How far each version is; for those with *troubles*, these."""
        if self._all is None:
            self._all = tuple(state for versions in self._states.values() for state in versions.values())
        if not troubles:
            return self._all
        return tuple(_with(state, troubles) for state in self._all)

    def expect(self, name: Name) -> None:
        """*name* is to be served."""
        self._judge(name)

    def say(self, name: Name, state: LoadState) -> None:
        """One version of *name* is in *state* now."""
        self._states.setdefault(name, {})[state.version] = state
        self._judge(name)

    def settled(self, name: Name) -> None:
        """All that *name* is to answer with has answered."""
        self._settled.add(name)
        self._judge(name)

    def keep(self, name: Name, versions: Collection[int]) -> None:
        """Only *versions* of *name* are left; without any, it is not served any more."""
        states = self._states.get(name, {})
        self._states[name] = {version: state for version, state in states.items() if version in versions}
        if not versions:
            del self._states[name]
            self._settled.discard(name)
        self._judge(name, gone=not versions)

    def _judge(self, name: Name, *, gone: bool = False) -> None:
        failed = any(state.error for state in self._states.get(name, {}).values())
        if gone or failed or name in self._settled:
            self._unready.discard(name)
        else:
            self._unready.add(name)
        self._all = None
        self._changed()


def _with(state: LoadState, troubles: Mapping[tuple[str, str, int], str]) -> LoadState:
    trouble = troubles.get((state.project, state.model, state.version))
    return state if trouble is None else msgspec.structs.replace(state, state="failed", error=trouble)
