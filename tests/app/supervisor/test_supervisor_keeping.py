"""The supervisor, with toy servers for children: real processes, real signals."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from forebay.app.supervisor import Home, Running, Supervisor, claimed_port
from forebay.app.supervisor.supervisor import Plan
from support import toys

pytestmark = pytest.mark.slow


class Stage:
    """A home, a plan with toys, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.home.prepare()
        self.said: list[str] = []
        self.trace = folder / "trace"
        self.hub_port, self.node_port = (claimed_port("127.0.0.1", 0, "--port") for _ in "12")
        self.key = folder / "node.key"

    def toy(self, port: int, *options: str) -> tuple[str, ...]:
        return (sys.executable, toys.__file__, str(port), "--trace", str(self.trace), *options)

    def plan(self, *, hub: tuple[str, ...] = (), node: tuple[str, ...] = (), drain_s: float = 5.0) -> Plan:
        return Plan(
            hub=self.toy(self.hub_port, "--key", str(self.key), *hub),
            nodes=(self.toy(self.node_port, *node),),
            environ=dict(os.environ),
            hub_url=f"http://127.0.0.1:{self.hub_port}",
            node_url=f"http://127.0.0.1:{self.node_port}",
            grpc_url="127.0.0.1:0",
            node_key=self.key,
            drain_s=drain_s,
            release="0",
        )

    def play(self, plan: Plan, scene: Callable[[Supervisor], None]) -> None:
        """Run the plan; *scene* is acted in a thread of its own once everything answers."""

        async def run() -> None:
            supervisor = Supervisor(self.home, plan, self.said.append)
            loop = asyncio.get_running_loop()

            def act() -> None:
                try:
                    scene(supervisor)
                finally:
                    loop.call_soon_threadsafe(supervisor.stop)

            acting: list[asyncio.Future[None]] = []
            await supervisor.run(lambda: acting.append(loop.run_in_executor(None, act)))
            await acting[0]

        with self.home.held():
            asyncio.run(run())

    def running(self) -> Running:
        found = self.home.read()
        assert found is not None
        return found

    def until(self, true: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + 20
        while not true():
            assert time.monotonic() < give_up_at, self.said
            time.sleep(0.02)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_runs_is_written_down_and_gone_afterwards(stage: Stage) -> None:
    seen: list[Running] = []
    stage.play(stage.plan(), lambda _: seen.append(stage.running()))
    assert seen[0].ready
    assert seen[0].pid == os.getpid()
    assert set(seen[0].parts) == {"hub", "node"}
    assert stage.home.read() is None
    assert not any(alive(part.pid) for part in seen[0].parts.values())
    assert "toy starts" in (stage.home.logs / "hub.log").read_text()


def test_what_dies_is_started_again_and_one_line_says_so(stage: Stage) -> None:
    def kill_the_node(_: Supervisor) -> None:
        first = stage.running().parts["node"].pid
        os.kill(first, signal.SIGKILL)
        stage.until(lambda: stage.running().ready and stage.running().parts["node"].pid != first)
        assert stage.running().parts["node"].restarts == 1
        assert stage.running().parts["hub"].restarts == 0

    stage.play(stage.plan(), kill_the_node)
    assert stage.said[0] == "node was killed by SIGKILL; starting it again in 0.1 s"
    assert stage.said[1].startswith("node is ready again (process ")


def test_the_nodes_leave_before_the_hub(stage: Stage) -> None:
    stage.play(stage.plan(), lambda _: None)
    assert stage.trace.read_text().split() == [str(stage.node_port), str(stage.hub_port)]


def test_one_that_does_not_leave_in_time_is_killed_and_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay.app.supervisor.supervisor._GRACE_S", 0.2)
    stage.play(stage.plan(node=("--stubborn",), drain_s=0.1), lambda _: None)
    assert any(line.startswith("node did not finish within 0.3 s and was killed") for line in stage.said)


def test_a_dead_child_is_noticed_though_its_own_child_lives_on(stage: Stage) -> None:
    def kill_the_hub(_: Supervisor) -> None:
        first = stage.running().parts["hub"].pid
        os.kill(first, signal.SIGKILL)
        stage.until(lambda: stage.running().ready and stage.running().parts["hub"].pid != first)

    stage.play(stage.plan(hub=("--with-grandchild",)), kill_the_hub)


def test_one_that_keeps_dying_is_tried_on_and_its_last_words_are_shown(stage: Stage) -> None:
    async def run() -> None:
        supervisor = Supervisor(stage.home, stage.plan(node=("--die",)), stage.said.append)
        running = asyncio.create_task(supervisor.run(lambda: None))
        while not (found := stage.home.read()) or not found.trouble:
            await asyncio.sleep(0.05)
        assert not running.done()
        supervisor.stop()
        await running

    with stage.home.held():
        asyncio.run(asyncio.wait_for(run(), 30))
    trouble = next(line for line in stage.said if "does not stay up" in line)
    assert "(ended with exit code 1, 5 times)" in trouble
    assert "ends: toy: no bricks left; starting it again in" in trouble


def test_a_program_that_is_not_there_is_said_and_not_the_end(stage: Stage) -> None:
    async def run() -> None:
        plan = stage.plan()._replace(hub=("/no/such/program",))
        supervisor = Supervisor(stage.home, plan, stage.said.append)
        running = asyncio.create_task(supervisor.run(lambda: None))
        while len(stage.said) < 2:
            await asyncio.sleep(0.05)
        supervisor.stop()
        await running

    with stage.home.held():
        asyncio.run(asyncio.wait_for(run(), 30))
    assert stage.said[0].startswith("hub could not be started (No such file or directory); starting it again")


def test_no_child_outlives_a_supervisor_that_is_killed(stage: Stage) -> None:
    toy = toys.__file__
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, {toy!r}, '{stage.node_port}', '--parent', '1'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline().startswith("toy starts")
        time.sleep(0.3)
        assert alive(child)
        parent.kill()
    stage.until(lambda: not alive(child))
