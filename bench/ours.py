"""This Forebay, as somebody runs it: `forebay up`, a published model, a deployment, a key; all guards on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import forebay
from bench.bodies import json_request, request_for
from bench.machine import commit
from bench.models import Arrays, Model
from bench.peers.model import DATATYPES
from bench.servers import Family, free_ports, log_of
from bench.subjects import GRPC_PATH, Serving
from bench.words import Missing, Target, Wire
from forebay.app.settings import Settings
from forebay.client import Hub, connect
from forebay.control.access import Access
from forebay.control.billing import limits_for_nodes
from forebay.control.deploy import Deployments
from forebay.control.registry import Registry
from forebay.control.store import Database, FolderBlobs
from forebay.core import INFO_NAME, ArtifactInfo, DataType, ModelRef, Signature, TensorSpec

_WAIT_S = 180.0
_PROJECT = "default"
_QUIET_S = 0.5  # a node gathers usage events for a while before it ships them
_HAS_GRPC = any(field.name == "grpc_port" for field in fields(Settings))


@dataclass(frozen=True)
class Forebay:
    """A hub and a node of *workers* processes, on which *names* model names answer."""

    name: str
    workers: int = 1
    names: int = 1

    def version(self) -> str:
        packages = (f"{name} {metadata.version(name)}" for name in ("onnxruntime", "numpy"))
        return f"forebay {forebay.__version__} ({commit()}), {', '.join(packages)}"

    @contextmanager
    def serving(self, model: Model, wire: Wire) -> Iterator[Serving]:
        with (
            TemporaryDirectory(prefix="bench-forebay-") as folder,
            _up(Path(folder), self.workers) as up,
            connect(up.hub_url, up.admin_key, _PROJECT) as hub,
        ):
            _publish(hub, model, Path(folder))
            _deploy_more(up, model, self.names)
            secret = hub.keys.create("bench").secret  # before the deployment: who has that has the key
            _wait_for(lambda: len(hub.nodes()) == self.workers, "every worker has reported")
            hub.deploy(model.name, timeout_s=_WAIT_S, progress=False)
            _wait_for(lambda: all(each.ready for each in hub.deployments()), "every name answers")
            yield Serving(up.family, {wire: up.target(model, wire, secret)}, _QUIET_S)
            _check_metered(hub)


@dataclass(frozen=True)
class _Up:
    home: Path
    family: Family
    hub_url: str
    node_url: str
    grpc_port: int

    @property
    def admin_key(self) -> str:
        return (self.home / "admin.key").read_text().strip()

    def target(self, model: Model, wire: Wire, secret: str) -> Target:
        bearer = (("Authorization", f"Bearer {secret}"),)
        if wire is Wire.GRPC:
            if not _HAS_GRPC:
                raise Missing("this Forebay has no gRPC door yet")
            return request_for(model, wire, self.grpc_port, GRPC_PATH, bearer)
        port = urlsplit(self.node_url).port
        assert port is not None, "a node's address has a port"
        return request_for(model, wire, port, f"/v2/models/{model.name}/infer", bearer)


@contextmanager
def _up(folder: Path, workers: int) -> Iterator[_Up]:
    """`forebay up` in a home of its own on free ports, and `forebay down` in the end."""
    family, home, grpc_port = Family(), folder / "home", free_ports(1)[0]
    settings: dict[str, object] = {
        "home": home,
        "port": 0,
        "hub_port": 0,
        "workers": workers,
        "log_level": "warning",
    }
    if _HAS_GRPC:
        settings["grpc_port"] = grpc_port
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("FOREBAY_")}
    ours = {f"FOREBAY_{name.upper()}": str(value) for name, value in settings.items()}
    environ = {**foreign, **ours, **family.environment}
    try:
        said = json.loads(_forebay(environ, "up", "--detach", "--json"))
        yield _Up(home, family, said["hub_url"], said["node_url"], grpc_port)
        _forebay(environ, "down")
    finally:
        family.end()
        if (home / "logs").exists():
            shutil.copytree(home / "logs", log_of("forebay").with_suffix(""), dirs_exist_ok=True)


def _forebay(environ: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "forebay", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"forebay {words[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def _publish(hub: Hub, model: Model, folder: Path) -> None:
    """Through the front door: an artifact folder, checked by the hub in a job of its own."""
    artifact = folder / "artifact"
    artifact.mkdir()
    shutil.copy(model.file, artifact / "model.onnx")
    (artifact / "sample.json").write_bytes(json_request(model.row))
    (artifact / INFO_NAME).write_bytes(ArtifactInfo(signature_of(model), sample="sample.json").encode())
    hub.publish(artifact, model.name, progress=False)


def signature_of(model: Model) -> Signature:
    """What *model* takes and gives: rows of everything."""
    return Signature(_specs(model.row), _specs(model.expected()))


def _specs(arrays: Arrays) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, DataType(DATATYPES[array.dtype]), (-1, *array.shape[1:]))
        for name, array in arrays.items()
    )


def _deploy_more(up: _Up, model: Model, names: int) -> None:
    """Let the artifact of *model* answer under more names, as another hub on the same database would.

    The front door would check the same bytes once for each name.
    """
    if names == 1:
        return
    database = Database(f"sqlite:///{up.home / 'hub.db'}")
    try:
        registry = Registry(database, FolderBlobs(up.home / "blobs"))
        deployments = Deployments(database, registry, Access(database).grants, limits_for_nodes)
        first = registry.version(_PROJECT, ModelRef(model.name))
        for number in range(1, names):
            name = f"{model.name}-{number}"
            registry.register_version(
                _PROJECT, name, first.manifest, first.info, "", {}, [], job_id=f"bench-{number}"
            )
            deployments.put(_PROJECT, name)
    finally:
        database.close()


def _wait_for(true: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + _WAIT_S
    while not true():
        if time.monotonic() > give_up_at:
            raise Missing(f"after {_WAIT_S:g} s it is still not so that {what}")
        time.sleep(0.2)


def _check_metered(hub: Hub) -> None:
    """What was asked has to be in the ledger, or the measurement was one without metering."""
    if hub.usage().total.requests == 0:
        raise Missing("the ledger holds nothing of what was asked: this was no measurement with metering on")
