"""Checks of this machine: ports, disk, permissions, installed packages."""

from __future__ import annotations

import os
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from forebay.app.doctor.findings import Finding, Patient
from forebay.app.supervisor import claimed_port
from forebay.core.errors import ForebayError

_SCARCE_BYTES = 2 << 30
_FULL_BYTES = 256 << 20
_FULL_FILES = 1000
_SECRETS = ("admin.key", "node.key")
JOBS_EXTRA, JOBS_NEED = "sklearn", ("polars", "sklearn", "skl2onnx", "skops")
"""The extra that jobs of every hub need, and the modules that it brings."""


def check_ports(patient: Patient) -> Finding:
    """Whether the ports are ours, or free for us."""
    settings = patient.settings
    if patient.running is not None:
        return Finding.ok(
            f"held by our own hub and node ({patient.running.hub_url}, {patient.running.node_url})"
        )
    ports = (settings.port, "--port"), (settings.grpc_port, "--grpc-port"), (settings.hub_port, "--hub-port")
    for port, option in ports:
        try:
            claimed_port(settings.host, port, option)
        except ForebayError as error:
            what, _, mend = str(error).partition("; ")
            return Finding.fail(what, f"{mend}; `ss -ltnp 'sport = :{port}'` names who has it")
    return Finding.ok(f"{settings.port}, {settings.grpc_port} (node) and {settings.hub_port} (hub) are free")


def check_disk(patient: Patient) -> Finding:
    """Whether there is room for journals, blobs and the database."""
    folder = _nearest(patient.settings.home)
    room = os.statvfs(folder)
    free_bytes = room.f_bavail * room.f_frsize
    left = f"{free_bytes / (1 << 20):,.0f} MiB are left on the disk of {folder}"
    mend = f"free some space there, or move {patient.settings.home} and set FOREBAY_HOME"
    if free_bytes < _FULL_BYTES:
        return Finding.fail(
            f"{left}; without room usage cannot be written down, so nothing is answered", mend
        )
    if room.f_files and room.f_favail < _FULL_FILES:
        return Finding.fail(f"the disk of {folder} can hold only {room.f_favail} more files", mend)
    return Finding.warn(left, mend) if free_bytes < _SCARCE_BYTES else Finding.ok(left)


def check_permissions(patient: Patient) -> Finding:
    """Whether everything in the home is ours to write, and the keys ours alone to read."""
    home = patient.settings.home
    if not home.exists():
        near = _nearest(home)
        if not os.access(near, os.W_OK | os.X_OK):
            return Finding.fail(f"{near} is not ours to write", "name a folder of yours with FOREBAY_HOME")
        return Finding.ok(f"{home} can be made")
    for path in (home, *sorted(home.iterdir())):
        foreign = os.geteuid() not in (0, path.lstat().st_uid)
        if foreign or not os.access(path, os.R_OK | os.W_OK):
            return Finding.fail(
                f"{path} is not ours to read and write", f"sudo chown -R $(id -un) {home} makes it ours"
            )
    for secret in (home / name for name in _SECRETS):
        if secret.exists() and secret.stat().st_mode & 0o077:
            return Finding.fail(f"others can read the key in {secret}", f"chmod 600 {secret}")
    return Finding.ok(f"{home} is ours, its keys ours alone")


def check_extras(patient: Patient) -> Finding:
    """Whether the packages are there that jobs of this home's hub need."""
    missing = [module for module in JOBS_NEED if find_spec(module) is None]
    if missing:
        what = f"{', '.join(missing)} cannot be imported, so `forebay train` and converting will fail"
        mend = f"pip install 'forebay[{JOBS_EXTRA}]' where this Python lives"
        return (Finding.warn if patient.settings.url else Finding.fail)(what, mend)
    extras = installed_extras()
    others = [extra for extra, there in extras.items() if not there]
    more = (
        f"; not installed, and only needed for their kinds of models: {', '.join(others)}" if others else ""
    )
    return Finding.ok(", ".join(extra for extra, there in extras.items() if there) + more)


def installed_extras() -> dict[str, bool]:
    """Each extra that this package offers, and whether all of its packages are installed."""
    ours = metadata.metadata("forebay").get_all("Provides-Extra") or []
    wanted = [Requirement(line) for line in metadata.requires("forebay") or []]
    return {
        extra: all(
            _is_installed(one.name)
            for one in wanted
            if one.marker is not None
            and one.marker.evaluate({"extra": extra})
            and not one.marker.evaluate({"extra": ""})
        )
        for extra in ours
        if extra != "all"
    }


def _is_installed(package: str) -> bool:
    return any(metadata.distributions(name=package))


def _nearest(path: Path) -> Path:
    """*path*, or the closest folder above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())
