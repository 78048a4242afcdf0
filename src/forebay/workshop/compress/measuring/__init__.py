"""What a candidate costs and answers, on this machine, in the backend and the lane that will serve it."""

from forebay.workshop.compress.measuring.lanes import Answered, Costs, Stand, answered, race
from forebay.workshop.compress.measuring.weighing import Weight, weigh

__all__ = [
    "Answered",
    "Costs",
    "Stand",
    "Weight",
    "answered",
    "race",
    "weigh",
]
