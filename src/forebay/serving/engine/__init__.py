"""Who goes to the model together: batches, lanes, deadlines.

A lane promises: each request is answered exactly once or withdrawn; the order of arrival is kept; a
full queue refuses before any work; one caller's departure, error or slowness harms no other.
"""

from forebay.serving.engine.batcher import Batcher, BatchLimits, Seat
from forebay.serving.engine.cache import Outcome
from forebay.serving.engine.lane import Lane
from forebay.serving.engine.load import Loaded, load

__all__ = ["BatchLimits", "Batcher", "Lane", "Loaded", "Outcome", "Seat", "load"]
