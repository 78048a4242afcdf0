"""A train job: data in, a version out."""

from __future__ import annotations

from pathlib import Path

from forebay.control.hub.work.requests import TrainRequest, read_request
from forebay.workshop.convert import verify
from forebay.workshop.train import (
    ARTIFACT,
    STREAMED,
    Chosen,
    Listener,
    Prepared,
    Reporter,
    build,
    choose,
    prepare,
    read,
    save_built,
)

TRIALS = "trials"


def prepare_data(folder: Path, output: Path, tell: Listener) -> None:
    """Look the data over, choose columns, split."""
    request = read_request(TrainRequest, folder)
    data = read(
        folder / "fetch" / request.file_name,
        request.target,
        format=request.data.format,
        memory_bytes=request.memory_bytes,
        seed=request.seed,
        streamed=request.estimator in STREAMED,
    )
    prepare(data, request, Reporter(tell, "prepare")).save(output)


def choose_estimator(folder: Path, output: Path, tell: Listener) -> None:
    """Try the candidates. What is done of it survives a `kill -9` in the job's own folder."""
    request = read_request(TrainRequest, folder)
    prepared = Prepared.load(folder / "prepare")
    choose(prepared, request, Reporter(tell, "choose"), folder / TRIALS).save(output)


def build_artifact(folder: Path, output: Path, tell: Listener) -> None:
    """Fit, score, convert, and load the artifact as a node would."""
    request = read_request(TrainRequest, folder)
    prepared, chosen = Prepared.load(folder / "prepare"), Chosen.load(folder / "choose")
    trained = build(prepared, chosen, request, Reporter(tell, "build"), name=request.name)
    save_built(trained, output)
    verify(output / ARTIFACT)
