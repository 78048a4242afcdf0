"""up, down, status, doctor, hub, node."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from forebay.app.cli import paper
from forebay.app.settings import Settings
from forebay.app.supervisor import (
    Home,
    Plan,
    Running,
    Supervisor,
    die_with_parent,
    start_detached,
    stop,
)
from forebay.app.supervisor import status as status_of
from forebay.app.wiring import ADMIN_KEY, environment_for, own_command, plan_of

_BEHIND_NODES = 10
"""A hub beside a node lets it go first: the ledger can wait, callers cannot."""

F = TypeVar("F", bound=Callable[..., object])
_home = click.option("--home", type=click.Path(path_type=Path), help="Folder of everything that is kept.")
_host = click.option("--host", metavar="ADDRESS", help="Listen on this address.")
_port = click.option("--port", type=int, metavar="N", help="TCP port of the node; 0 takes a free one.")
_grpc_port = click.option(
    "--grpc-port", type=int, metavar="N", help="TCP port of the node for gRPC; 0 takes a free one."
)
_hub_port = click.option("--hub-port", type=int, metavar="N", help="TCP port of the hub; 0 takes a free one.")
_workers = click.option("--workers", type=int, metavar="N", help="Node processes that share the port.")
_database = click.option("--database-url", metavar="URL", help="PostgreSQL instead of SQLite in the home.")
_json = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
_parent = click.option("--parent", type=int, hidden=True)


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@click.command()
@_options(_home, _host, _port, _grpc_port, _hub_port, _workers, _database, _parent)
@click.option("-d", "--detach", is_flag=True, help="Return as soon as everything answers; `down` stops it.")
@_json
def up(detach: bool, as_json: bool, parent: int | None, **options: Any) -> None:
    """Start a hub and a node on this machine, and keep them running.

    What dies is started again. Ctrl-C, SIGTERM or `forebay down` let both finish what they accepted.
    """
    if parent:
        die_with_parent(parent)
    settings = Settings.load(**options)
    home = Home(settings.home)
    if not detach:
        _supervise(home, lambda: plan_of(settings, with_hub=True), as_json=as_json)
        return
    running = start_detached(home, own_command("up"), environment_for(settings))
    _banner(home, running, "forebay down", as_json=as_json)


@click.command()
@_options(_home, _json)
def down(as_json: bool, **options: Any) -> None:
    """Let hub and node finish what they accepted, and stop them."""
    home = Home(Settings.load(**options).home)
    stopped = stop(home, _say)
    if as_json:
        paper.line(_document({"stopped": stopped, "home": str(home.folder)}))
    else:
        paper.line("stopped" if stopped else f"nothing runs from {home.folder}")


@click.command()
@_options(_home, _json)
def status(as_json: bool, **options: Any) -> int:
    """Say what runs, and where; the exit code is 0 when all of it answers."""
    found = status_of(Home(Settings.load(**options).home))
    if as_json:
        paper.line(_document(found))
    elif not found.running:
        paper.line(f"nothing runs from {found.home}; `forebay up` starts a hub and a node")
    else:
        facts = [("home", found.home), ("up since", found.started_at), ("process", found.pid)]
        places = [("hub", found.hub_url), ("node", found.node_url), ("gRPC", found.grpc_url)]
        paper.facts([*facts, *places, ("trouble", found.trouble)])
        rows = [
            (name, part.pid or "", "answers" if part.ready else "does not answer", part.restarts)
            for name, part in found.parts.items()
        ]
        paper.table(
            ("Part", "Process", "State", "Started again"), rows, empty="Nothing has been started yet."
        )
    return 0 if found.ready else 1


@click.command()
@_options(_home, _host, _port, _grpc_port, _hub_port, _database, _json)
def doctor(as_json: bool, **options: Any) -> int:
    """Find the eleven commonest mistakes, and say how to mend each; the exit code is 1 if one is found."""
    from forebay.app.doctor import State, examine  # noqa: PLC0415 (loads a client)

    found = examine(Settings.load(**options))
    healthy = all(finding.state is not State.FAIL for finding in found.values())
    if as_json:
        paper.line(_document({"healthy": healthy, "findings": found}))
    else:
        rows = [(name, finding.state, finding.what, finding.mend) for name, finding in found.items()]
        paper.table(("Check", "State", "What", "How to mend it"), rows, empty="There is nothing to check.")
    return 0 if healthy else 1


@click.command()
@_options(_home, _host, _hub_port, _database, _parent)
def hub(parent: int | None, **options: Any) -> None:
    """Run a hub alone, in the foreground; nodes elsewhere join it with `forebay node --hub URL`."""
    from forebay.app.hub import run_hub  # noqa: PLC0415 (the whole control plane)

    if parent:
        die_with_parent(parent)
        os.nice(_BEHIND_NODES)
    run_hub(Settings.load(**options))


@click.command()
@_options(_home, _host, _port, _grpc_port, _workers, _parent)
@click.option("--hub", "url", metavar="URL", help="Address of the hub that this node belongs to.")
@click.option("--worker", type=int, hidden=True)
def node(parent: int | None, worker: int | None, **options: Any) -> None:
    """Run a node alone, in the foreground. Its key is FOREBAY_KEY, or node.key in the home."""
    settings = Settings.load(**options)
    if worker is None and settings.workers > 1:
        _supervise(Home(settings.home), lambda: plan_of(settings, with_hub=False), as_json=False)
        return
    from forebay.app.logs import start_logging  # noqa: PLC0415 (not to be loaded by other commands)
    from forebay.app.wiring import node_config, with_free_ports  # noqa: PLC0415
    from forebay.serving.node import run  # noqa: PLC0415

    if parent:
        die_with_parent(parent)
    start_logging(settings.log_level)
    if worker is None:
        settings = with_free_ports(settings, with_hub=False)
    run(node_config(settings, worker or 0))


def _supervise(home: Home, plan: Callable[[], Plan], *, as_json: bool) -> None:
    async def run() -> None:
        supervisor = Supervisor(home, plan(), _say)
        await supervisor.run(lambda: _banner(home, home.read(), "Ctrl-C, or forebay down", as_json=as_json))

    with home.held():
        asyncio.run(run())


def _say(text: str) -> None:
    click.echo(f"{datetime.now(UTC):%H:%M:%S}Z {text}", err=True)


def _banner(home: Home, running: Running | None, stop_with: str, *, as_json: bool) -> None:
    assert running is not None, "a supervisor that is ready has written so"
    key = home.folder / ADMIN_KEY
    if as_json:
        paths = {"home": str(home.folder), "admin_key": str(key), "logs": str(home.logs)}
        paper.line(_document(msgspec.structs.asdict(running) | paths))
        return
    paper.line("Forebay is up.")
    paper.facts(
        [
            ("hub", f"{running.hub_url}   (API /api/v1, its documentation /docs)"),
            ("node", f"{running.node_url}   (POST /predict/MODEL, Open Inference Protocol /v2)"),
            ("gRPC", f"{running.grpc_url}   (Open Inference Protocol: ModelInfer, ModelStreamInfer)"),
            ("key", f"{key}   (commands on this machine find it by themselves)"),
            ("logs", home.logs),
            ("stop with", stop_with),
        ]
    )


def _document(answer: object) -> str:
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()
