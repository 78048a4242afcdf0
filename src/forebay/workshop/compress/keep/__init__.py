"""What a smaller model must keep: a small language, the figures it speaks of, and a verdict.

    accuracy>=-0.5              loses at most half a point (hundredths)
    rmse<=+2%                   grows by at most two hundredths of itself
    agreement>=99               answers 99 of 100 rows as the original does
    recall[class=fraud]>=-0.2   the same for one class, or for a slice of the rows: [region=north]

A number with a sign is a change against the original, one without is the figure itself. Several
promises stand beside each other with commas, and all have to be kept.
"""

from forebay.workshop.compress.keep.language import Promise, parse
from forebay.workshop.compress.keep.metrics import METRICS, Metric
from forebay.workshop.compress.keep.sight import Answers, Sight
from forebay.workshop.compress.keep.verdict import Finding, Verdict, judge, margin, standing

__all__ = [
    "METRICS",
    "Answers",
    "Finding",
    "Metric",
    "Promise",
    "Sight",
    "Verdict",
    "judge",
    "margin",
    "parse",
    "standing",
]
