"""jobs, nodes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from forebay.app.cli import paper
from forebay.app.cli.frame import Plural, Talk, talking
from forebay.client import JobEvent
from forebay.client.results import Job
from forebay.client.shown import bytes_text, gist_of, text_of


@click.group(cls=Plural)
def jobs() -> None:
    """Look after slow work."""


@jobs.command("list")
@talking
def list_jobs(talk: Talk) -> None:
    """List the jobs, newest first."""
    found = talk.hub.jobs()
    rows = [[job.id, job.kind, job.state, job.step, job.created_at, _took(job)] for job in found]
    names = ("Job", "Kind", "State", "Step", "Created", "Took")
    talk.answer(found, lambda: paper.table(names, rows, empty="There is no job yet."))


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write the page that a compression left, kept promise or not, into FILE.",
)
@talking
def show_job(talk: Talk, job_id: str, report: Path | None) -> None:
    """Show one job."""
    job = talk.hub.jobs.get(job_id)
    if report is not None:
        report.write_bytes(talk.hub.jobs.report(job_id))
    talk.answer(job, lambda: _show(job))


@jobs.command("log")
@click.argument("job_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
@talking
def log_of_job(talk: Talk, job_id: str, follow: bool) -> None:
    """Print what a job said, and what its processes complained about."""
    said = []
    for event in talk.hub.jobs.events(job_id) if follow else talk.hub.jobs.said(job_id):
        said.append(event.data)
        if not talk.json:
            paper.line(_line_of(event))
    complaints = talk.hub.jobs.log(job_id).rstrip("\n")
    document = {"id": job_id, "events": said, "log": complaints}
    talk.answer(document, lambda: paper.line(complaints) if complaints else None)


@jobs.command("wait")
@click.argument("job_id", metavar="ID")
@talking
def wait_for_job(talk: Talk, job_id: str) -> None:
    """Wait until a job ends; fails if it does."""
    job = talk.hub.jobs.wait(job_id, progress=talk.progress())
    talk.answer(job, lambda: _show(job))


@jobs.command("cancel")
@click.argument("job_id", metavar="ID")
@talking
def cancel_job(talk: Talk, job_id: str) -> None:
    """End a job."""
    job = talk.hub.jobs.cancel(job_id)
    talk.answer(job, lambda: paper.line(f"job {job.id} is {job.state}"))


def _line_of(event: JobEvent) -> str:
    """The time of day, and what happened."""
    return f"{str(event.data.get('time', ''))[11:19]}  {_text_of(event)}"


def _text_of(event: JobEvent) -> str:
    data = event.data
    if event.kind == "state":
        why = f": {data['error']}" if data.get("error") else ""
        return f"the job is {data.get('state')}{why}"
    if event.kind == "metric":
        where = [str(data[name]) for name in ("split", "estimator") if data.get(name)]
        return f"{data.get('name')} = {text_of(data.get('value'))}{f' ({where[0]})' if where else ''}"
    return str(data.get("text", ""))


def _show(job: Job) -> None:
    paper.facts(
        [
            ("job", job.id),
            ("kind", job.kind),
            ("state", job.state),
            ("step", job.step),
            ("created", job.created_at),
            ("took", _took(job)),
            ("result", gist_of(job.result or {})),
            ("sentence", (job.result or {}).get("sentence")),
            ("error", job.error),
        ]
    )


def _took(job: Job) -> str:
    if job.started_at is None:
        return ""
    passed = (job.finished_at or datetime.now(UTC)) - job.started_at
    return f"{passed.total_seconds():.1f} s"


@click.command()
@talking
def nodes(talk: Talk) -> None:
    """List the nodes and what they serve."""
    found = talk.hub.nodes()
    rows = [
        [
            node.name,
            node.url,
            "ready" if node.ready and node.alive else "alive" if node.alive else "away",
            [f"{v.model}:{v.version} {v.state}" for v in node.versions],
            f"{bytes_text(node.loaded_bytes)} of {bytes_text(node.budget_bytes)}"
            if node.budget_bytes
            else "",
            node.journal_behind,
            node.heard_at,
        ]
        for node in found
    ]
    names = ("Node", "Address", "State", "Versions", "Memory", "Not shipped", "Heard")
    hint = "No node was heard of; `forebay up` or `forebay node` starts one."
    talk.answer(found, lambda: paper.table(names, rows, empty=hint))
