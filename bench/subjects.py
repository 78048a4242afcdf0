"""Who is measured: how each peer is started, and where it wants to be asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from bench import triton
from bench.bodies import request_for
from bench.models import Model
from bench.servers import Family, free_ports, started, wait_answering, wait_listening
from bench.venvs import python_of, version_of
from bench.words import ROOT, Missing, Target, Wire


@dataclass(frozen=True)
class Serving:
    """A server that answers: its processes, and the request for each wire that it speaks.

    It has done all that its requests cause once it was quiet for *quiet_s*.
    """

    family: Family
    targets: Mapping[Wire, Target]
    quiet_s: float = 0.25


class Subject(Protocol):
    """Something that can be measured."""

    @property
    def name(self) -> str:
        """What it is called in the results."""

    def version(self) -> str:
        """What runs, exactly; raises `Missing`."""

    def serving(self, model: Model, wire: Wire) -> AbstractContextManager[Serving]:
        """Let it serve *model* until the block ends; raises `Missing` when it cannot."""


@dataclass(frozen=True)
class Setting:
    """What a peer is started with."""

    python: Path
    model: Model
    folder: Path
    port: int
    other_ports: tuple[int, int]
    workers: int

    @property
    def packages(self) -> Path:
        """Where the environment keeps its packages."""
        return next(self.python.parent.parent.glob("lib/python3*/site-packages"))


Command = Callable[[Setting], list[str]]


def module(name: str) -> Command:
    """`python -m bench.peers.NAME`."""
    return lambda setting: [str(setting.python), "-m", f"bench.peers.{name}"]


@dataclass(frozen=True)
class Peer:
    """A server of somebody else, in an environment of its own, with *workers* workers."""

    name: str
    package: str
    venv: str
    command: Command
    path: str = "/predict"
    ready: str = ""
    workers: int = 1
    wires: frozenset[Wire] = frozenset({Wire.JSON})
    environ: Mapping[str, str] = field(default_factory=dict)

    def version(self) -> str:
        packages = (self.package, "onnxruntime", "numpy")
        return ", ".join(f"{package} {version_of(self.venv, package)}" for package in packages)

    @contextmanager
    def serving(self, model: Model, wire: Wire) -> Iterator[Serving]:
        if wire not in self.wires:
            raise Missing(f"our server of {self.name} does not speak {wire}")
        python = python_of(self.venv)
        family = Family()
        port, *others = free_ports(3)
        with TemporaryDirectory(prefix=f"bench-{self.name}-") as folder:
            setting = Setting(python, model, Path(folder), port, (others[0], others[1]), self.workers)
            command = self.command(setting)
            with started(self.name, command, self._environment(setting), setting.folder, family) as first:
                if self.ready:
                    wait_answering(first, self.name, port, self.ready.format(model=model.name))
                else:
                    wait_listening(first, self.name, port)
                yield Serving(family, {wire: self._target(setting, wire)})

    def _target(self, setting: Setting, wire: Wire) -> Target:
        if wire is Wire.GRPC:
            grpc_port = setting.other_ports[0] if self.ready else setting.port
            return request_for(setting.model, wire, grpc_port, GRPC_PATH)
        return request_for(setting.model, wire, setting.port, self.path.format(model=setting.model.name))

    def _environment(self, setting: Setting) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            "BENCH_MODEL": str(setting.model.file),
            "BENCH_MODEL_NAME": setting.model.name,
            "BENCH_PORT": str(setting.port),
            "BENCH_THREADS": str(setting.model.threads),
            "BENCH_WORKERS": str(self.workers),
            **{name: value.format(setting=setting) for name, value in self.environ.items()},
        }


GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"
_OIP = "/v2/models/{model}/infer"
_OIP_READY = "/v2/models/{model}/ready"


def _mlserver(setting: Setting) -> list[str]:
    http, grpc, metrics = setting.port, *setting.other_ports
    ports = f'"http_port": {http}, "grpc_port": {grpc}, "metrics_port": {metrics}'
    (setting.folder / "settings.json").write_text(
        f'{{"host": "127.0.0.1", {ports}, "parallel_workers": 0, "debug": false}}'
    )
    (setting.folder / "model-settings.json").write_text(
        f'{{"name": "{setting.model.name}", "implementation": "bench.peers.mlserver_model.OnnxRuntime"}}'
    )
    return [str(setting.python), "-m", "mlserver.cli.main", "start", str(setting.folder)]


def _bento(setting: Setting) -> list[str]:
    address = ["--host", "127.0.0.1", "--port", str(setting.port)]
    return [str(setting.python), "-m", "bentoml", "serve", "bench.peers.bento_server:Inference", *address]


def _triton(setting: Setting) -> list[str]:
    ports = (setting.port, setting.other_ports)
    return triton.command(setting.packages, setting.model, setting.folder, *ports, setting.workers)


_BENTO_ENVIRON = {
    "BENTOML_HOME": "{setting.folder}",
    "BENTOML_DO_NOT_TRACK": "True",
}
_TRITON_ENVIRON = {"PATH": "{setting.python.parent}:" + os.environ["PATH"]}  # where its backend finds Python
_RAY_ENVIRON = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TMPDIR": "{setting.folder}",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # stays on 127.0.0.1
}
_TRITON = ("nvidia-pytriton", "triton", _triton, _OIP, _OIP_READY)
_BINARY_TOO = frozenset({Wire.JSON, Wire.BINARY})

PEERS: tuple[Peer, ...] = (
    Peer("mosec", "mosec", "mosec", module("mosec_server"), "/inference"),
    Peer("mosec-2", "mosec", "mosec", module("mosec_server"), "/inference", workers=2),
    Peer("triton", *_TRITON, 1, frozenset(Wire), _TRITON_ENVIRON),
    Peer("triton-2", *_TRITON, 2, frozenset(Wire), _TRITON_ENVIRON),
    Peer("mlserver", "mlserver", "mlserver", _mlserver, _OIP, _OIP_READY),
    Peer("bentoml", "bentoml", "bentoml", _bento, ready="/readyz", environ=_BENTO_ENVIRON),
    Peer("litserve", "litserve", "litserve", module("lit_server"), ready="/health"),
    Peer("ray", "ray", "ray", module("ray_server"), "/", "/-/healthz", environ=_RAY_ENVIRON),
    Peer("flask", "flask", "flask", module("flask_server")),
    Peer("bare", "httptools", "bare", module("bare"), wires=_BINARY_TOO),
    Peer("bare-2", "httptools", "bare", module("bare"), workers=2, wires=_BINARY_TOO),
    Peer("grpc-aio", "grpcio", "grpc", module("grpc_server"), wires=frozenset({Wire.GRPC})),
)  # fmt: skip
