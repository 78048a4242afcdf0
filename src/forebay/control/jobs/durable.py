"""Durable execution: DBOS keeps which steps of which job are done, and hands out what is not.

Why DBOS, and what else there is: `decisions/0001-durable-jobs.md`.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from dbos import DBOS, DBOSConfig, Queue, Serializer, SetWorkflowID

from forebay.control.jobs.runner import Checkpoint
from forebay.control.jobs.watch import Outcome
from forebay.core.errors import Conflict

_NAME = "forebay"
_VERSION = (
    "jobs-1"  # jobs of another version would not be recovered: it changes when steps change their meaning
)
_WORKFLOW = "job"
_ON_ITS_WAY = ("PENDING", "ENQUEUED", "DELAYED")
_POLL_S = 0.1
_LINGER_S = 15.0
_STOP_S = 10.0
_one_at_a_time = threading.Lock()


class Durable:
    """Runs `work(job id, checkpoint)` for every job handed over, at most *children* at once, in order.

    `home` names this hub's own queue: a hub never takes over what another one works on. There is one
    engine in a process, because DBOS is one; a second `start` raises `Conflict`.

    The engine polls its database ten times a second, so it rests while there is nothing to do.
    """

    def __init__(
        self, system_url: str, home: str, children: int, work: Callable[[str, Checkpoint], None]
    ) -> None:
        self._system_url = system_url
        self._queue_name = f"jobs-{home}"
        self._home = home
        self._children = children
        self._work = work
        self._workflow: Any = None
        self._queue: Queue | None = None  # None while the engine rests
        self._started = False
        self._handed: set[str] = set()
        self._working = 0
        self._quiet_now = threading.Condition()
        self._engine = threading.RLock()
        self._rest_timer: threading.Timer | None = None

    def start(self) -> None:
        """Take up what was under way when the last process ended."""
        if not _one_at_a_time.acquire(blocking=False):
            raise Conflict("jobs are at work in this process already; stop those first")
        _quiet()
        with self._engine:
            self._started = True
            try:
                self._launch()
            except BaseException:
                self._let_go()
                raise
            self._rest_later()

    def _launch(self) -> None:
        config = DBOSConfig(
            name=_NAME,
            system_database_url=self._system_url,
            sys_db_pool_size=2 + self._children,
            application_version=_VERSION,
            executor_id=self._home,
            serializer=_Json(),
            use_listen_notify=False,
            log_level="WARNING",
        )
        DBOS(config=config)

        def job(job_id: str) -> None:  # DBOS marks the function itself, which a method does not allow
            self._run(job_id)

        self._workflow = DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)(job)
        DBOS.listen_queues([self._queue_name])
        DBOS.launch()
        self._queue = DBOS.register_queue(
            self._queue_name,
            worker_concurrency=self._children,
            polling_interval_sec=_POLL_S,
            on_conflict="always_update",
        )

    def stop(self) -> None:
        """Hand out nothing more, wait until those at work have let go, and let go; harmless when stopped."""
        if not self._started:
            return
        with self._quiet_now:
            self._quiet_now.wait_for(lambda: self._working == 0, timeout=_STOP_S)
        with self._engine:
            self._let_go()

    def _let_go(self) -> None:
        self._destroy()
        self._started = False
        _one_at_a_time.release()

    def _destroy(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # it complains of what its own end cuts short
        DBOS.destroy(destroy_registry=True)
        self._queue = None

    def enqueue(self, job_id: str) -> None:
        """Hand a job over; a job that was handed over before stays where it is."""
        with self._engine, SetWorkflowID(job_id):
            queue = self._awake()
            self._handed.add(job_id)
            try:
                queue.enqueue(self._workflow, job_id)
            except BaseException:
                self._handed.discard(job_id)
                raise

    def forget_finished(self) -> None:
        """Remove what is kept of jobs that have ended."""
        with self._engine:
            self._awake()
            ended = DBOS.list_workflows(status="SUCCESS", load_input=False, load_output=False)
            DBOS.delete_workflows([workflow.workflow_id for workflow in ended])

    def enqueue_again(self, job_id: str) -> None:
        """Hand over a job that is not over, even where the engine has given it up."""
        with self._engine:
            self._awake()
            status = DBOS.get_workflow_status(job_id)
            if status is not None and status.status not in _ON_ITS_WAY:
                DBOS.delete_workflow(job_id)
            self.enqueue(job_id)

    def _awake(self) -> Queue:
        assert self._started, "start comes first"
        if self._queue is None:
            try:
                self._launch()
            except BaseException:
                self._destroy()
                raise
            self._rest_later()
        assert self._queue is not None, "it has just been launched"
        return self._queue

    def _rest_later(self) -> None:
        self._rest_timer = threading.Timer(_LINGER_S, self._rest)
        self._rest_timer.daemon = True
        self._rest_timer.start()

    def _rest(self) -> None:
        with self._engine:
            if self._queue is None:
                return
            if self._handed or self._working:
                self._rest_later()
            else:
                self._destroy()

    def _run(self, job_id: str) -> None:
        with self._quiet_now:
            self._working += 1
        try:
            self._work(job_id, _checkpoint)
        finally:
            with self._quiet_now:
                self._working -= 1
                self._handed.discard(job_id)
                self._quiet_now.notify_all()


def _checkpoint(name: str, do: Callable[[], Outcome]) -> Outcome:
    return DBOS.run_step({"name": name}, do)


class _Json(Serializer):
    """What DBOS keeps is JSON: its own way is pickle, which no server of ours reads."""

    def serialize(self, data: Any) -> str:
        return json.dumps({"error": repr(data)} if isinstance(data, BaseException) else data)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "forebay_json"


def _quiet() -> None:
    """DBOS logs through our handlers: it makes its own, for the terminal, only where there is none."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = True
