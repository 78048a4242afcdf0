"""What compression brings: `python -m bench.compression` writes bench/COMPRESSION.md."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.compression_rivals import Point, compared, lines
from bench.compression_subjects import SUBJECTS, Subject, gains
from bench.words import CACHE, ROOT
from forebay.core import INFO_NAME
from forebay.core.errors import Unsupported
from forebay.serving.runtime.fingerprint import fingerprint
from forebay.workshop.compress import EVIDENCE_NAME, Evidence, Source, Wish, compress
from forebay.workshop.compress.evidence import times
from forebay.workshop.compress.recipes import parts_of

TABLE = ROOT / "bench" / "COMPRESSION.md"
_SECONDS = 240.0
_NAMES = [
    "model",
    "promise",
    "asked",
    "smaller",
    "quicker, one row",
    "rows a second, batch 32",
    "what is kept",
]

_ABOUT = (
    "Gains are ratios of medians, taken by turns through the lane that serves both. What is kept is that of "
    "the final part, which was used once; *kept* means that its whole interval of 95 % is within the "
    "promise. MNIST-5k: 2,000 images to learn from, 3,000 to choose by and to prove; digits: 600 and 1,197; "
    "the encoder: 1,200 sentences of Python's manual, neighbours in pairs, of which nothing is learned but "
    "ranges."
)
_AGAINST = (
    "The same CNN and MLP, quantised by one call of others (`nncf.quantize`, and Olive's "
    "`OnnxStaticQuantization`, both calibrated by 256 of the images to learn from), asked by turns with ours "
    "and the original in one race, on the final part. *Better than ours* would be: as small, as quick and as "
    "right, and in something more than a tenth better."
)


def row_of(subject: Subject, evidence: Evidence | None) -> str:
    """A line of the table."""
    if evidence is None:
        none = ["–"] * 4
        cells = [subject.title, f"`{subject.keep}`", str(subject.bar), *none, "nothing found", "**missed**"]
        return f"| {' | '.join(cells)} |"
    figures = [times(gain) for gain in gains(evidence)]
    found = "; ".join(finding.figures for finding in evidence.findings)
    cells = [
        subject.title,
        f"`{subject.keep}`",
        str(subject.bar),
        *figures,
        f"{found}: {evidence.verdict}",
        " + ".join(evidence.recipe),
        "met" if subject.bar.met(evidence) else "**missed**",
    ]
    return f"| {' | '.join(cells)} |"


def page(rows: Sequence[str], beside: Sequence[str], when: datetime, time_budget_s: float) -> str:
    """The whole page."""
    machine = fingerprint()
    packages, features = machine["packages"], machine["features"]
    assert isinstance(packages, dict)
    assert isinstance(features, tuple)
    about = ", ".join(f"{name} {version}" for name, version in packages.items())
    said = (
        f"Measured on {when:%Y-%m-%d} by `make bench-compress` on {machine['cores']} cores of "
        f"{machine['processor']} ({', '.join(map(str, features))}), {about}; {time_budget_s:.0f} s of search "
        f"for each model. {_ABOUT}"
    )
    text = ["# What compression brings", "", said, "", *_table([*_NAMES, "recipe", "reached"], rows)]
    if beside:
        head = ["model", "by", "smaller", "quicker, one row", "rows a second, batch 32", "accuracy", "is"]
        text += ["", "## Beside the one call of others", "", _AGAINST, "", *_table(head, beside)]
    return "\n".join([*text, ""])


def _table(head: Sequence[str], rows: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *rows]


def home_of(subject: Subject) -> Path:
    """Where a subject is kept between runs."""
    return CACHE / "compression" / subject.name


def measured(subject: Subject, time_budget_s: float) -> None:
    """Train and compress. What was trained before is used again."""
    home = home_of(subject)
    source_folder = home / "source"
    if not (source_folder / INFO_NAME).exists():
        shutil.rmtree(source_folder, ignore_errors=True)
        subject.make(source_folder)
    source = Source.at(source_folder)
    unseen, known = subject.parts(source.info)
    wish = Wish.read(subject.keep, subject.goal, time_budget_s, 0)
    shutil.rmtree(home / "search", ignore_errors=True)  # each run measures anew
    (home / "rivals.json").unlink(missing_ok=True)
    try:
        found = compress(source, unseen, wish, home / "search", tuning=known, listener=_tell)
    except Unsupported as error:
        print(f"{subject.name}: {error}")
        return
    if subject.rivals:
        assert known is not None
        final = parts_of(unseen, known, wish.seed).final
        points = compared(source, found.folder, known, final, home / "rivals")
        (home / "rivals.json").write_bytes(msgspec.json.encode(points))


def last(subject: Subject) -> Evidence | None:
    """What the last run on this machine found; None where nothing was better."""
    path = home_of(subject) / "search" / EVIDENCE_NAME
    return Evidence.decode(path.read_bytes()) if path.exists() else None


def beside(subject: Subject) -> list[str]:
    """What others made of it in the last run on this machine."""
    path = home_of(subject) / "rivals.json"
    if not path.exists():
        return []
    return lines(subject.title, msgspec.json.decode(path.read_bytes(), type=list[Point]))


def write(time_budget_s: float, table: Path = TABLE) -> None:
    """The page, of all that was measured on this machine."""
    there = [subject for subject in SUBJECTS if home_of(subject).exists()]
    rows = [row_of(subject, last(subject)) for subject in there]
    others = [line for subject in there for line in beside(subject)]
    table.write_text(page(rows, others, datetime.now(UTC), time_budget_s))


def main() -> int:
    """Every subject, or those that are named; the lines of the others stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", default=",".join(subject.name for subject in SUBJECTS))
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    named = arguments.subjects.split(",")
    if unknown := set(named) - {subject.name for subject in SUBJECTS}:
        parser.error(f"there is no subject {sorted(unknown)}")
    for name in named:
        print(name, flush=True)
        measured(next(each for each in SUBJECTS if each.name == name), arguments.seconds)
        write(arguments.seconds, arguments.table)
    print(f"wrote {arguments.table}")
    return 0


def _tell(event: Any) -> None:
    if event["kind"] == "candidate":
        print(
            f"  {event['name']}: {event.get('verdict', event['outcome'])} {event.get('burden', '')}",
            flush=True,
        )
    elif event["kind"] == "log":
        print(f"  {event['text']}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
