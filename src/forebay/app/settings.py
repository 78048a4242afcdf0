"""Every knob of Forebay, read once at the door; `docs/settings.md` is printed from here.

Rooms are handed the few values that they need, never `Settings`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from forebay.core.errors import Malformed

PREFIX = "FOREBAY_"
_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")
_MIB = 1 << 20


class Bounds(NamedTuple):
    """The smallest value that makes sense, and the largest."""

    low: float
    high: float = float("inf")


_PORT = Bounds(0, 65535)
_COUNT = Bounds(1)
_NOT_NEGATIVE = Bounds(0)


_OF_CLOUDS = MappingProxyType(
    {
        "port": ("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT"),
        "health_route": ("AIP_HEALTH_ROUTE",),
        "predict_route": ("AIP_PREDICT_ROUTE",),
    }
)
"""What Vertex AI and SageMaker call some settings in the containers that they start; ours win."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this Forebay runs. Each field is `FOREBAY_<NAME>` in the environment; options of a command win.

    >>> Settings.load({"FOREBAY_PORT": "9000"}).port
    9000
    >>> Settings.load({"FOREBAY_PROT": "9000"})
    Traceback (most recent call last):
    forebay.core.errors.Malformed: FOREBAY_PROT is no setting; did you mean FOREBAY_PORT or FOREBAY_PROJECT?
    """

    home: Annotated[Path, "Folder of everything that is kept: database, blobs, journals, logs, keys."] = Path(
        "~/.forebay"
    )
    url: Annotated[str, "Address of the hub, for the command line, for Python and for a node."] = ""
    key: Annotated[str, "Key that the command line, Python or a node shows to the hub."] = field(
        default="", repr=False
    )
    project: Annotated[str, "Project that the command line and Python work in; empty: the key's own."] = ""
    host: Annotated[str, "Address that hub and node listen on; 0.0.0.0 opens them to the network."] = (
        "127.0.0.1"
    )
    port: Annotated[int, "TCP port of the node; 0 takes a free one.", _PORT] = 8000
    grpc_port: Annotated[int, "TCP port of the node for gRPC; 0 takes a free one.", _PORT] = 8001
    hub_port: Annotated[int, "TCP port of the hub; 0 takes a free one.", _PORT] = 8080
    workers: Annotated[int, "Node processes that share the node's port.", _COUNT] = 1
    node_name: Annotated[str, "What the node is called; empty: the machine's name and the port."] = ""
    public_url: Annotated[str, "Address that callers reach the node by, where it differs."] = ""
    database_url: Annotated[
        str, "SQLAlchemy URL of the hub's database (postgresql+psycopg://…); empty: SQLite in the home."
    ] = field(default="", repr=False)
    max_body_bytes: Annotated[int, "Largest request that the node reads.", _COUNT] = 64 * _MIB
    max_header_bytes: Annotated[int, "Largest request head that the node reads.", _COUNT] = 32 << 10
    header_wait_s: Annotated[float, "How long a request's head may take to arrive.", _NOT_NEGATIVE] = 10.0
    body_wait_s: Annotated[float, "How long a request's body may take to arrive.", _NOT_NEGATIVE] = 60.0
    idle_wait_s: Annotated[float, "How long the node keeps an idle connection.", _NOT_NEGATIVE] = 75.0
    request_wait_s: Annotated[float, "How long a request may take before it is given up.", _NOT_NEGATIVE] = (
        30.0
    )
    drain_s: Annotated[float, "How long a stopping process may finish what it accepted.", _NOT_NEGATIVE] = (
        20.0
    )
    batch_rows: Annotated[int, "Most rows in one batch, where a deployment says nothing.", _COUNT] = 64
    batch_wait_s: Annotated[
        float,
        "Longest that a request waits for company, where that pays and a deployment says nothing.",
        _NOT_NEGATIVE,
    ] = 0.002
    queue_rows: Annotated[int, "Most rows that wait for one version; more are refused.", _COUNT] = 4096
    threads: Annotated[
        int,
        "Threads that one batch may compute with; 0: the cores that the machine or the container offers, "
        "shared between the workers.",
        _NOT_NEGATIVE,
    ] = 0
    spin: Annotated[
        bool,
        "Whether the threads of a batch wait awake: quicker on free cores, for half as much CPU again.",
    ] = False
    hang_s: Annotated[
        float,
        "How long one batch may compute before it counts as hung, and its process is ended.",
        Bounds(0.1),
    ] = 60.0
    allow_code: Annotated[
        bool,
        "Whether Python of others is run, each in a process of its own: that of models by the node, "
        "training scripts by the hub.",
    ] = False
    code_start_s: Annotated[float, "How long the process of such a model may take to start.", Bounds(0.1)] = (
        120.0
    )
    code_memory_bytes: Annotated[
        int,
        "Largest process of such a model, which is replaced when it grows beyond; 0: half of the memory that "
        "the machine or the container offers.",
        _NOT_NEGATIVE,
    ] = 0
    model_memory_bytes: Annotated[
        int,
        "Memory that a node's models may take together, all its processes included; 0: three fifths of the "
        "machine's or the container's.",
        _NOT_NEGATIVE,
    ] = 0
    connections: Annotated[int, "Most open connections to one node process.", _COUNT] = 10_000
    journal_sync: Annotated[
        bool,
        "Whether each usage event is forced to the disk before its answer leaves (survives a power cut).",
    ] = False
    otlp_endpoint: Annotated[
        str,
        "Address of an OpenTelemetry collector (http://HOST:4318) that nodes tell their traces; "
        "empty: what OTEL_EXPORTER_OTLP_ENDPOINT says, or nobody.",
    ] = ""
    trace_share: Annotated[
        float, "Share of the requests that are traced, of those that come without a trace.", Bounds(0, 1)
    ] = 1.0
    anonymous_key: Annotated[
        str,
        "Key that whoever shows none at the node is taken to hold, for clients that cannot send one; "
        "empty: they are refused.",
    ] = field(default="", repr=False)
    default_model: Annotated[
        str, "Model that is meant at /invocations and its like; empty: the only one that the key may ask."
    ] = ""
    health_route: Annotated[str, "Another path for the node's health; AIP_HEALTH_ROUTE, too."] = ""
    predict_route: Annotated[
        str, "Another path at which the default model takes instances; AIP_PREDICT_ROUTE, too."
    ] = ""
    billing_zone: Annotated[str, "Time zone in which months of bills begin and end, as in Europe/Berlin."] = (
        "UTC"
    )
    invoice_sender: Annotated[
        str, "Who sends invoices: name, address and tax number, with | between lines."
    ] = ""
    invoice_after_h: Annotated[
        float,
        "How long after its end a month is closed and invoiced; 0: only by hand, `forebay invoices issue`.",
        _NOT_NEGATIVE,
    ] = 72.0
    job_time_limit_s: Annotated[
        float, "How long one job may work; 0: as long as it likes.", _NOT_NEGATIVE
    ] = 3600.0
    job_children: Annotated[int, "Jobs that work at the same time.", _COUNT] = 1
    blob_limit_bytes: Annotated[int, "Largest file that the hub takes in.", _COUNT] = 16 << 30
    log_level: Annotated[str, "debug, info, warning or error."] = "info"

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, **options: object) -> Settings:
        """The defaults, then the environment, then *options* that are not None; raises `Malformed`."""
        check_environment(environ)
        given: dict[str, Any] = {
            each.name: _parsed(each.name, said)
            for each in fields(cls)
            if (said := _said_in(environ, each.name))
        }
        given |= {name: value for name, value in options.items() if value is not None}
        return cls(**given)

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", Path(self.home).expanduser().absolute())
        object.__setattr__(self, "log_level", self.log_level.lower())
        for name, (_kind, _meaning, bounds) in _CATALOGUE.items():
            if bounds is not None and not bounds.low <= getattr(self, name) <= bounds.high:
                raise Malformed(
                    f"{_variable(name)} is {getattr(self, name)}, but it has to be {_range(bounds)}"
                )
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise Malformed(
                f"{_variable('log_level')} is {self.log_level!r}; use debug, info, warning or error"
            )

    def environment(self) -> dict[str, str]:
        """What a child process needs in its environment to run under these very settings."""
        return {_variable(each.name): _written(getattr(self, each.name)) for each in fields(self)}

    @property
    def database(self) -> str:
        """The URL of the database that the hub opens."""
        return self.database_url or f"sqlite:///{self.home / 'hub.db'}"

    @property
    def jobs_database(self) -> str:
        """Where the progress of jobs is kept: beside the database, or in the same PostgreSQL."""
        in_file = self.database.startswith("sqlite")
        return f"sqlite:///{self.home / 'jobs.db'}" if in_file else self.database

    @property
    def local_host(self) -> str:
        """Where this machine's own processes find what listens on `host`."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (read, not bound)

    @property
    def hub_url(self) -> str:
        """The hub's address for this machine's own processes."""
        return self.url.rstrip("/") or f"http://{_bracketed(self.local_host)}:{self.hub_port}"

    @property
    def node_url(self) -> str:
        """The node's address for callers."""
        return self.public_url.rstrip("/") or f"http://{_bracketed(self.local_host)}:{self.port}"

    @property
    def grpc_url(self) -> str:
        """Where gRPC clients find the node: a host and a port, as they write it."""
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return f"{_bracketed(public or self.local_host)}:{self.grpc_port}"


def _said_in(environ: Mapping[str, str], name: str) -> str:
    """What the environment says of the setting *name*; empty for nothing."""
    variables = (_variable(name), *_OF_CLOUDS.get(name, ()))
    return next((environ[each] for each in variables if environ.get(each)), "")


class _Knob(NamedTuple):
    kind: type
    meaning: str
    bounds: Bounds | None


def _catalogue() -> Mapping[str, _Knob]:
    knobs = {}
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        if get_origin(hint) is Annotated:
            kind, meaning, *bounds = get_args(hint)
            knobs[name] = _Knob(kind, meaning, bounds[0] if bounds else None)
    return MappingProxyType(knobs)


_CATALOGUE = _catalogue()


def check_environment(environ: Mapping[str, str]) -> None:
    """Raise `Malformed` for a FOREBAY_ variable that is no setting: a misspelt knob turns nothing."""
    known = [_variable(name) for name in _CATALOGUE]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=2, cutoff=0.85)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise Malformed(f"{name} is no setting; {hint}")


def as_markdown() -> str:
    """The table of all settings, as it stands in the documentation."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for each in fields(Settings):
        default = _written(_default(each))
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{_variable(each.name)}` | {shown} | {_CATALOGUE[each.name].meaning} |")
    return "\n".join(lines) + "\n"


def _default(each: Field[Any]) -> object:
    assert each.default is not MISSING, f"{each.name} needs a default"
    return each.default


def _parsed(name: str, text: str) -> object:
    kind = _CATALOGUE[name].kind
    if kind is bool:
        if text.lower() not in _YES + _NO:
            raise Malformed(f"{_variable(name)} is {text!r}; use true or false")
        return text.lower() in _YES
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise Malformed(f"{_variable(name)} is {text!r}, but it has to be {wanted}") from None


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _range(bounds: Bounds) -> str:
    return f"at least {bounds.low}" if bounds.high == float("inf") else f"{bounds.low} to {bounds.high}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
