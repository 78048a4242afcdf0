"""What others make of the same model in one call of theirs, measured beside ours in one race."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from bench.venvs import python_of, version_of
from bench.words import HERE, Missing
from forebay.workshop.compress import Rows, Source
from forebay.workshop.compress.drafts import answers
from forebay.workshop.compress.evidence import times
from forebay.workshop.compress.measuring import Stand, answered, race
from forebay.workshop.compress.steps.precision import quiet

_CALIBRATION, _CHUNK, _ROUNDS = 256, 8, 20
_ALIKE = 1.10
"""The clock is no finer."""


class Point(msgspec.Struct, frozen=True):
    """One way to make a model smaller, as gains over the original; *accuracy* in points of the final part."""

    name: str
    smaller: float = 0.0
    quicker: float = 0.0
    throughput: float = 0.0
    accuracy: float = 0.0
    missing: str = ""

    def beats(self, other: Point) -> bool:
        """Whether it is as good in everything, and clearly better in something that is not accuracy alone."""
        mine, theirs = self._gains, other._gains
        as_good = self.accuracy >= other.accuracy and all(
            one * _ALIKE >= two for one, two in zip(mine, theirs, strict=True)
        )
        clearly = any(one > two * _ALIKE for one, two in zip(mine, theirs, strict=True))
        return not self.missing and as_good and clearly

    @property
    def _gains(self) -> tuple[float, float, float]:
        return self.smaller, self.quicker, self.throughput


def nncf(source: Source, rows: Rows, folder: Path) -> None:
    """`nncf.quantize(model, dataset)`."""
    os.environ.setdefault("NNCF_CI", "1")  # otherwise it reports its use to its makers
    import nncf as library  # noqa: PLC0415 (heavy)

    library.set_log_level(logging.ERROR)
    chunks = [
        {name: values[start : start + _CHUNK] for name, values in rows.inputs.items()}
        for start in range(0, len(rows), _CHUNK)
    ]
    draft = source.draft()
    with quiet():
        made = library.quantize(draft.proto(), library.Dataset(chunks))
    draft.with_proto(made).save(folder, source)


def olive(source: Source, rows: Rows, folder: Path) -> None:
    """`olive.run` with its pass for static int8, in an environment of its own; raises `Missing`."""
    import onnx  # noqa: PLC0415 (heavy)

    python = python_of("olive")
    draft = source.draft()
    with TemporaryDirectory() as place:
        given, calibration, out = (Path(place) / name for name in ("given.onnx", "rows.npy", "out"))
        given.write_bytes(draft.graph)
        (values,) = rows.inputs.values()
        np.save(calibration, values)
        command = [str(python), str(HERE / "peers" / "olive_call.py"), *map(str, (given, calibration, out))]
        environment = {**os.environ, "OLIVE_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=place
        )
        if done.returncode or not (out / "model.onnx").exists():
            raise Missing(f"it fails: {(done.stderr.strip().splitlines() or ['without a word'])[-1][:200]}")
        draft.with_proto(onnx.load(out / "model.onnx")).save(folder, source)


Make = Callable[[Source, Rows, Path], None]


def _rivals() -> Sequence[tuple[str, Make]]:
    return (
        (f"NNCF {version('nncf')}", nncf),
        (f"Olive {version_of('olive', 'olive-ai')}", olive),
    )


def compared(source: Source, ours: Path, known: Rows, final: Rows, home: Path) -> list[Point]:
    """Ours, NNCF's and Olive's version of *source*, asked by turns; *final* are rows that none has seen."""
    shutil.rmtree(home, ignore_errors=True)
    calibration = known.take(np.arange(min(_CALIBRATION, len(known))))
    folders, missing = {"Forebay": ours}, []
    for number, (name, make) in enumerate(_rivals()):
        try:
            make(source, calibration, home / str(number))
        except Missing as reason:
            missing.append(Point(name, missing=str(reason)))
        else:
            folders[name] = home / str(number)
    return _measured(source, folders, final) + missing


def _measured(source: Source, folders: dict[str, Path], final: Rows) -> list[Point]:
    with Stand.opened(source.folder, *folders.values()) as (original, *stands):
        before, *costs = race([original, *stands], final.inputs, (1, 32), _ROUNDS)
        right = [_accuracy(source, stand, final) for stand in stands]
    return [
        Point(
            name,
            smaller=_bytes(source.folder) / _bytes(folder),
            quicker=before[1].p50_s / found[1].p50_s,
            throughput=before[32].p50_s / found[32].p50_s,
            accuracy=accuracy,
        )
        for (name, folder), found, accuracy in zip(folders.items(), costs, right, strict=True)
    ]


def _accuracy(source: Source, stand: Stand, rows: Rows) -> float:
    said = answers(source.info, answered(stand.say, rows.inputs, 32).said, rows.truth)
    return 100 * float(np.mean(said.labels == rows.truth))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def lines(title: str, points: Sequence[Point]) -> list[str]:
    """The lines of the table for one model."""
    ours = points[0]
    found = []
    for point in points:
        if point.missing:
            cells = [title, point.name, *["–"] * 4, f"not measured: {point.missing}"]
        else:
            verdict = "" if point is ours else ("**better than ours**" if point.beats(ours) else "not better")
            figures = [times(gain) for gain in (point.smaller, point.quicker, point.throughput)]
            cells = [title, point.name, *figures, f"{point.accuracy:.2f}", verdict]
        found.append(f"| {' | '.join(cells)} |")
    return found
