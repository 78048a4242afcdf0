"""A real PostgreSQL for the tests: a cluster of their own in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TypedDict

import psycopg

_START_WAIT_S = 30.0
_SETTINGS = {  # nobody needs these rows after a power cut
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # in the folder, so that nothing of it stays behind
    "log_min_messages": "warning",
}


class Cluster:
    """One PostgreSQL server on a free port of the loopback address."""

    def __init__(self) -> None:
        self._binaries = _binaries()
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="forebay-pg-", dir=_in_memory()))
        self._names = (f"test_{number}" for number in count(1))
        self.port = 0
        if user := self._account.get("user"):
            os.chown(self._folder, user, -1)
        self._initialise()
        self.start()

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def start(self) -> None:
        """Start the server, on the port it had before if there was one."""
        for _attempt in range(5):
            port = self.port or _free_port()
            if self._answers(port):
                self.port = port
                return
            self.stop()
        raise RuntimeError(f"PostgreSQL does not start; its log ends: {self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Stop the server at once; what was committed stays."""
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def close(self) -> None:
        """Stop the server and remove everything it wrote."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create(self, template: str = "template0") -> str:
        """The name of a fresh database, a copy of *template*."""
        name = next(self._names)
        with self._connect(self.port) as connection:
            # the default of later servers goes through the log, which takes seven times as long
            quickly = "STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {quickly}'.encode())
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def url(self, name: str) -> str:
        """What SQLAlchemy calls the database *name*."""
        return f"postgresql+psycopg://forebay@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str) -> None:
        """Run one statement as the owner of the cluster."""
        with self._connect(self.port) as connection:
            connection.execute(statement.encode())

    def _connect(self, port: int) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            f"postgresql://forebay@127.0.0.1:{port}/postgres?connect_timeout=5", autocommit=True
        )

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def _initialise(self) -> None:
        command = [
            str(self._binaries / "initdb"),
            "-D",
            self._data,
            "-U",
            "forebay",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        done = subprocess.run(
            [*command, "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            **self._account,
        )
        if done.returncode:
            shutil.rmtree(self._folder)
            raise RuntimeError(f"PostgreSQL's initdb failed: {done.stderr.strip()}")

    def _answers(self, port: int) -> bool:
        """Whether a server, started on *port*, takes connections."""
        command = [*_dies_with_us(), str(self._binaries / "postgres"), "-D", self._data, "-p", str(port)]
        command += ["-k", str(self._folder), *(f"-c{name}={value}" for name, value in _SETTINGS.items())]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, **self._account
            )
        give_up_at = time.monotonic() + _START_WAIT_S
        while self._server.poll() is None and time.monotonic() < give_up_at:
            try:
                self._connect(port).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return self._server.poll() is None
        return False


class _Account(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[str]


def _account() -> _Account:
    """Who runs the server: ourselves, or nobody when we are root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _in_memory() -> str | None:
    """A file system in memory with room, where a database is made five times as fast; None without one."""
    roomy = os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 30  # noqa: S108 (mkdtemp follows)
    return "/dev/shm" if roomy else None  # noqa: S108


def _binaries() -> Path:
    """Where PostgreSQL's programs are; Debian keeps them out of the PATH."""
    found = shutil.which("postgres")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -int(folder.parent.name))
    for folder in ([Path(found).resolve().parent] if found else []) + folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError(
        "the tests need a PostgreSQL server; `make test` installs it, or run scripts/install-services"
    )


def _dies_with_us() -> list[str]:
    return ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
