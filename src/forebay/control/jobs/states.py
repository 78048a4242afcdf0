"""The states of a job, and the only ways between them.

queued ──> running ──> succeeded
  │           ├──────> failed
  └───────────┴──────> cancelled
"""

from __future__ import annotations

from enum import StrEnum

from forebay.core.errors import Conflict


class State(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more."""
        return self in _OVER


_OVER = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
_WAYS = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
    State.RUNNING: _OVER,
}


def checked_way(old: State, new: State) -> State:
    """*new* itself, if a job may go there; raises `Conflict`.

    >>> checked_way(State.QUEUED, State.RUNNING)
    <State.RUNNING: 'running'>
    >>> checked_way(State.SUCCEEDED, State.CANCELLED)
    Traceback (most recent call last):
    forebay.core.errors.Conflict: the job is succeeded already and cannot become cancelled
    """
    if new not in _WAYS.get(old, ()):
        raise Conflict(f"the job is {old} already and cannot become {new}")
    return new
