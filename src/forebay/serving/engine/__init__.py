"""Who goes to the model together, and which models are in memory: batches, lanes, deadlines, residents.

A lane promises: each request is answered exactly once or withdrawn; the order of arrival is kept; a
full queue refuses before any work; one caller's departure, error or slowness harms no other. The manager
promises: models stay within their budget of bytes, nobody who waits is unloaded, and all who come at the
same time share one load.
"""

from forebay.serving.engine.batcher import Batcher, BatchLimits, Seat
from forebay.serving.engine.cache import Outcome
from forebay.serving.engine.lane import Lane
from forebay.serving.engine.load import Loaded, load
from forebay.serving.engine.manager import Manager, Workers
from forebay.serving.engine.memory import budget_for
from forebay.serving.engine.resident import Resident
from forebay.serving.engine.weighing import Artifact, look_at

__all__ = [
    "Artifact",
    "BatchLimits",
    "Batcher",
    "Lane",
    "Loaded",
    "Manager",
    "Outcome",
    "Resident",
    "Seat",
    "Workers",
    "budget_for",
    "load",
    "look_at",
]
