"""What is measured: the model, the wire, how many callers, and who answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bench.ours import Forebay
from bench.subjects import PEERS, Subject
from bench.words import Missing, Wire


class Kind(StrEnum):
    """How a case is driven."""

    CLOSED = "closed"
    OPEN = "open"
    IDLE = "idle"


@dataclass(frozen=True)
class Case:
    """One comparison. `levels` are numbers of connections; `batches` the sizes that a bare loop tries.

    A slow model is asked for `least_s` each time, whatever was wished for.
    """

    name: str
    title: str
    model: str
    wire: Wire
    levels: tuple[int, ...]
    subjects: tuple[str, ...]
    kind: Kind = Kind.CLOSED
    batches: tuple[int, ...] = ()
    least_s: int = 1


OURS = (Forebay("forebay"), Forebay("forebay-2", workers=2), Forebay("forebay-1000", names=1000))
_EVERYBODY: tuple[Subject, ...] = (*OURS, *PEERS)
SUBJECTS: Mapping[str, Subject] = MappingProxyType({each.name: each for each in _EVERYBODY})
LOOP = "onnxruntime"

_ALL = (1, 16, 64, 256)
_TWO = ("forebay", "forebay-2")
_JSON_PEERS = ("mosec", "mosec-2", "triton", "triton-2", "mlserver", "bentoml", "litserve", "ray", "flask")
_TRITONS = ("triton", "triton-2")
_BARE = ("bare", "bare-2")
_REAL = ("forebay", "triton", "bare")

CASES: tuple[Case, ...] = (
    Case(
        "mnist-json", "MNIST MLP, JSON", "mnist", Wire.JSON, _ALL, (*_TWO, *_JSON_PEERS, *_BARE),
    ),
    Case(
        "mnist-binary", "MNIST MLP, binary", "mnist", Wire.BINARY, _ALL, (*_TWO, *_TRITONS, *_BARE),
    ),
    Case(
        "mnist-grpc", "MNIST MLP, gRPC with raw contents", "mnist", Wire.GRPC, _ALL,
        (*_TWO, "grpc-aio", *_TRITONS),
    ),
    Case(
        "big-binary", "MLP with 10 million parameters, binary", "big", Wire.BINARY, (1, 16, 64), _REAL,
        batches=(1, 2, 4, 8, 16, 32, 64),
    ),
    Case("magika-json", "magika, JSON", "magika", Wire.JSON, (1, 16), (*_REAL, "mosec"), least_s=4),
    Case("magika-binary", "magika, binary", "magika", Wire.BINARY, (1, 16), _REAL, least_s=4),
    Case("bge-json", "bge-small, JSON", "bge", Wire.JSON, (1, 16), (*_REAL, "mosec"), least_s=4),
    Case("bge-binary", "bge-small, binary", "bge", Wire.BINARY, (1, 16), _REAL, least_s=4),
    Case(
        "latency-json", "Latency at 70 % of each server's own capacity, MNIST MLP, JSON", "mnist",
        Wire.JSON, (64,), (*_TWO, *_JSON_PEERS, *_BARE), Kind.OPEN,
    ),
    Case(
        "latency-binary", "Latency at 70 % of each server's own capacity, MNIST MLP, binary", "mnist",
        Wire.BINARY, (64,), (*_TWO, *_TRITONS, *_BARE), Kind.OPEN,
    ),
    Case(
        "names", "1 and 1,000 deployed names, MNIST MLP, binary", "mnist", Wire.BINARY, (16, 64),
        ("forebay", "forebay-1000"),
    ),
    Case("idle", "An idle node", "mnist", Wire.BINARY, (0, 16), ("forebay",), Kind.IDLE),
)  # fmt: skip


def cases_named(names: Iterable[str]) -> list[Case]:
    """The cases called *names*, in the table's order; all if none is named. Raises `Missing`.

    >>> [case.name for case in cases_named(["names", "mnist-json"])]
    ['mnist-json', 'names']
    """
    wanted = set(names)
    unknown = sorted(wanted - {case.name for case in CASES})
    if unknown:
        raise Missing(f"there is no case {', '.join(unknown)}; there are {', '.join(c.name for c in CASES)}")
    return [case for case in CASES if not wanted or case.name in wanted]
