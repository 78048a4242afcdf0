"""`forebay.run()`: a training script's own view of the job that it runs in, or of no job at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from forebay.client.hub import connect
from forebay.client.progress import NoProgress
from forebay.client.results import Version
from forebay.client.sources import How, source_of
from forebay.core import checked_name
from forebay.core.errors import Conflict, Malformed
from forebay.core.runs import PUBLISHED, RUN_EVENTS, RUN_FILE, RUN_FOLDER, SAID, Parameter, RunSaid, RunSpec

_LOCAL = Path(".forebay-run")


def run(name: str = "model", /, **parameters: Parameter) -> Run:
    """The run that this script is: started by `forebay train --script`, or by hand.

    *parameters* are the script's own, with their defaults; `--set lr=0.1` gives others, and those that the
    script does not have are refused with `Malformed`. By hand, the defaults are taken, what is told goes
    to standard error, checkpoints to `.forebay-run/NAME`, and `publish` to the hub of `forebay.connect`.

        run = forebay.run("digits", epochs=5, lr=0.01)
        for epoch in range(run["epochs"]):
            ...
            run.metric("loss", loss, epoch=epoch)
        run.publish(model, sample=X)
    """
    folder = os.environ.get(RUN_FOLDER)
    if folder is None:
        return Run(RunSpec(checked_name(name), parameters, str(_LOCAL / name)))
    spec = msgspec.json.decode((Path(folder) / RUN_FILE).read_bytes(), type=RunSpec)
    unknown = spec.parameters.keys() - parameters.keys()
    if parameters and unknown:
        raise Malformed(
            f"this script has no parameter {', '.join(sorted(unknown))}; it has {', '.join(parameters)}"
        )
    known = {**parameters, **spec.parameters}
    return Run(msgspec.structs.replace(spec, parameters=known), Path(folder), _events())


class Run:
    """Parameters, metrics, checkpoints and the version of one training script; `forebay.run` makes it."""

    def __init__(self, spec: RunSpec, job: Path | None = None, events: int | None = None) -> None:
        self.name = spec.name
        self.parameters: Mapping[str, Parameter] = spec.parameters
        self._kept = Path(spec.kept)
        self._job = job
        self._events = events

    def __getitem__(self, parameter: str) -> Any:
        """The value of one parameter; raises `Malformed` for one that nobody gave."""
        try:
            return self.parameters[parameter]
        except KeyError:
            raise Malformed(f"nobody gave {parameter}; say --set {parameter}=VALUE") from None

    def progress(self, fraction: float, text: str = "") -> None:
        """How much is done, 0 to 1, and at what the script is."""
        self._tell({"kind": "progress", "fraction": float(fraction), "text": text})

    def metric(self, name: str, value: float, **about: Parameter) -> None:
        """A number that was measured, as in `run.metric("loss", 0.3, epoch=2)`."""
        self._tell({"kind": "metric", "name": name, "value": float(value), **about})

    def log(self, text: str) -> None:
        """A sentence for whoever follows the job."""
        self._tell({"kind": "log", "text": text})

    def kept(self, name: str) -> Path | None:
        """The checkpoint *name* that an earlier start of this job has written; None if there is none."""
        path = self._kept / _plain(name)
        return path if path.exists() else None

    @contextmanager
    def keep(self, name: str) -> Iterator[Path]:
        """A path to write the checkpoint *name* to; it replaces the last one only when it is complete."""
        self._kept.mkdir(parents=True, exist_ok=True)
        growing = self._kept / f"{_plain(name)}.part"
        yield growing
        if not growing.is_file():
            raise Malformed(f"nothing was written to {growing}; a checkpoint is a file")
        growing.replace(self._kept / name)

    def publish(
        self,
        model: object,
        *,
        sample: Any = None,
        columns: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        card: str | None = None,
        lineage: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> Version | None:
        """Make *model* the version that this run was for; words as in `Hub.publish`.

        In a job the hub registers it when the script has ended well, and None is returned; a job makes one
        version, so a second call raises `Conflict`.
        """
        said = {"sample": sample, "columns": columns, "labels": labels, **how}
        if self._job is None:
            with connect() as hub:
                return hub.publish(model, self.name, card=card, lineage=lineage, **said)
        place = self._job / PUBLISHED
        if place.exists():
            raise Conflict("this run has published its version already; a job makes one")
        with source_of(model, How(**said), NoProgress()) as source:
            about = RunSaid(
                source.card if card is None else card,
                {**source.lineage, **(lineage or {})},
                list(source.evidence),
            )
            (self._job / SAID).write_bytes(msgspec.json.encode(about))
            _copy(source.folder, place)
        return None

    def _tell(self, event: Mapping[str, Any]) -> None:
        if self._events is not None:
            os.write(self._events, msgspec.json.encode(event) + b"\n")
        elif event["kind"] == "metric":
            about = "".join(f" {key}={event[key]}" for key in event if key not in ("kind", "name", "value"))
            sys.stderr.write(f"{event['name']} {event['value']:g}{about}\n")
        elif event.get("text"):
            sys.stderr.write(f"{event['text']}\n")


def _events() -> int | None:
    number = os.environ.get(RUN_EVENTS)
    return None if number is None else int(number)


def _copy(folder: Path, place: Path) -> None:
    """All of *folder* appears at *place* at once."""
    import shutil  # noqa: PLC0415 (once a run)

    growing = place.with_name(f"{place.name}.part")
    shutil.rmtree(growing, ignore_errors=True)
    shutil.copytree(folder, growing)
    growing.rename(place)


def _plain(name: str) -> str:
    if not name or name != Path(name).name or name.startswith("."):
        raise Malformed(f"{name!r} is no name for a checkpoint; it is a file name, as in 'state.pt'")
    return name
