"""Statistics of the Open Inference Protocol: cumulative, so that a reader takes differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Duration(msgspec.Struct, frozen=True):
    """How often, and how long altogether."""

    count: int
    ns: int


class InferStatistics(msgspec.Struct, frozen=True):
    """Requests, by what became of them and where their time went; what a cache does takes no time."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration = Duration(0, 0)
    cache_miss: Duration = Duration(0, 0)


class BatchStatistics(msgspec.Struct, frozen=True):
    """Executions of one batch size."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(msgspec.Struct, frozen=True):
    """One version.

    `last_inference` is in milliseconds since 1970; `inference_count` counts rows, `execution_count` calls.
    """

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: InferStatistics
    batch_stats: list[BatchStatistics]


def batch_statistics(sizes: Mapping[int, Iterable[int]]) -> list[BatchStatistics]:
    """By rows: executions, and the times of input, computing and output in nanoseconds."""
    found = []
    for rows, (count, *times) in sorted(sizes.items()):
        found.append(BatchStatistics(rows, *(Duration(count, ns) for ns in times)))
    return found


def described(models: Iterable[ModelStatistics]) -> dict[str, Any]:
    """The answer of a statistics request, as JSON has it."""
    return {"model_stats": [msgspec.to_builtins(model) for model in models]}
