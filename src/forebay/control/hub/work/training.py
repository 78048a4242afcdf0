"""A train job: data in, a version out."""

from __future__ import annotations

from pathlib import Path

from forebay.control.hub.work.requests import TrainRequest, read_request
from forebay.workshop.convert import verify
from forebay.workshop.train import (
    ARTIFACT,
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


def prepare_data(folder: Path, output: Path, tell: Listener) -> None:
    """Look the data over, choose columns, split."""
    request = read_request(TrainRequest, folder)
    data = read(folder / "fetch" / request.file_name, request.target, format=request.data.format)
    prepare(data, request, Reporter(tell, "prepare")).save(output)


def choose_estimator(folder: Path, output: Path, tell: Listener) -> None:
    """Cross-validate the candidates."""
    request = read_request(TrainRequest, folder)
    choose(Prepared.load(folder / "prepare"), request, Reporter(tell, "choose")).save(output)


def build_artifact(folder: Path, output: Path, tell: Listener) -> None:
    """Fit, score, convert, and load the artifact as a node would."""
    request = read_request(TrainRequest, folder)
    prepared, chosen = Prepared.load(folder / "prepare"), Chosen.load(folder / "choose")
    trained = build(prepared, chosen, request, Reporter(tell, "build"), name=request.name)
    save_built(trained, output)
    verify(output / ARTIFACT)
