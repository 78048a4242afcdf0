"""The Python SDK, for notebooks, programs and the command line.

`connect()` finds the hub and a key; the `Hub` that it returns speaks the hub's HTTP API, and asks the
node itself for predictions. Nothing is tried twice that might then happen twice; whatever fails
raises the same `ForebayError` that the server raised.
"""

from forebay.client.hub import Hub, connect
from forebay.client.jobs import JobEvent, JobFailed, StillRunning
from forebay.client.places import Place, find_place
from forebay.client.predictions import Predictions
from forebay.client.progress import LineProgress, NoProgress, Progress

__all__ = [
    "Hub",
    "JobEvent",
    "JobFailed",
    "LineProgress",
    "NoProgress",
    "Place",
    "Predictions",
    "Progress",
    "StillRunning",
    "connect",
    "find_place",
]
