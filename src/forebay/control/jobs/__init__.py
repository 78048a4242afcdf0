"""Slow work that survives a restart.

A job is a list of named steps. Slow ones work in a child process that sees a folder and nothing else;
what others see of a job (a registered version) is done in the hub, by a step that comes to the same when
it runs again. After a `kill -9` of the hub a job goes on after its last completed step.
"""

from forebay.control.jobs.jobs import Jobs
from forebay.control.jobs.kinds import Errand, JobKind, Step
from forebay.control.jobs.records import JobEvent, JobRecord
from forebay.control.jobs.states import State

__all__ = ["Errand", "JobEvent", "JobKind", "JobRecord", "Jobs", "State", "Step"]
