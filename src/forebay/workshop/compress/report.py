"""The report of a compression as a page: what came out, what it costs and loses, and what was tried."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape

from forebay.workshop.compress.evidence import TIMES, ClassLine, Evidence, times
from forebay.workshop.compress.keep import Verdict
from forebay.workshop.compress.keep.verdict import plain, signed
from forebay.workshop.compress.pareto import picture
from forebay.workshop.compress.tried import Outcome, Tried
from forebay.workshop.drawing import style

_WORDS = {
    Verdict.KEPT: "Promise kept",
    Verdict.UNPROVEN: "Not enough data to promise that",
    Verdict.BROKEN: "Promise broken",
}
_PARTS = {"tune": "to learn from", "choose": "to choose by", "final": "for proof"}


def page(evidence: Evidence, front: Collection[tuple[str, ...]]) -> str:
    """One HTML document, complete in itself; *front* are the recipes that no other beats."""
    title = _WORDS[evidence.verdict]
    sections = [
        _section("What was tried", _note_of_picture(evidence), picture(evidence, front), wide=True),
        _promises(evidence),
        _costs(evidence),
        *_lines_of(evidence),
        _examples(evidence),
        _candidates(evidence, front),
        _origin(evidence),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style()}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="lead">{escape(evidence.sentence)}</p>'
        f'<div class="tiles">{_tiles(evidence)}</div><div class="cards">{"".join(sections)}</div>'
        f"<footer>Made by Forebay {escape(evidence.forebay)}</footer></main></body></html>"
    )


def _tiles(evidence: Evidence) -> str:
    found = {cost.batch_rows: cost for cost in evidence.costs}
    before = {cost.batch_rows: cost for cost in evidence.source_costs}
    tiles = [
        (
            times(before[1].p50_s / found[1].p50_s),
            "quicker alone",
            f"{_ms(found[1].p50_s)} for one row",
        ),
        (
            times(before[32].p50_s / found[32].p50_s),
            "the rows a second",
            f"{32 / found[32].p50_s:,.0f} in batches of 32",
        ),
        (
            times(evidence.source_disk_bytes / evidence.disk_bytes),
            "smaller",
            f"{_size(evidence.disk_bytes)} on disk",
        ),
    ]
    first = evidence.findings[0]
    tiles.append((plain(first.after), first.subject, f"was {plain(first.before)}"))
    return "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span>'
        f"<small>{escape(under)}</small></div>"
        for value, name, under in tiles
    )


def _note_of_picture(evidence: Evidence) -> str:
    kept = " and ".join(evidence.keep)
    return (
        f"Each dot is a candidate, measured beside the original; to the right is quicker. Asked to keep: "
        f"{kept}. Strong ones are beaten by no other, the ring is what was taken."
    )


def _promises(evidence: Evidence) -> str:
    rows = [
        [
            found.promise,
            plain(found.before),
            plain(found.after),
            f"{signed(found.low)} to {signed(found.high)}",
            f"{found.rows:,}",
            str(found.verdict),
        ]
        for found in evidence.findings
    ]
    parts = ", ".join(f"{part['rows']} rows {_PARTS[name]}" for name, part in evidence.parts.items())
    batches = ", ".join(f"{size}: {verdict}" for size, verdict in evidence.by_batch.items())
    labels = (
        "There are no labels: agreement with the original stands in for being right. "
        if evidence.unlabelled
        else ""
    )
    note = (
        f"{labels}Measured once, on rows that nothing had seen ({parts}), in the backend and in batches that "
        f"serve it ({batches}); the figures are of batches of {evidence.worst_batch}, where they are worst."
    )
    head = ["promise", "before", "after", "95 % interval", "rows", "verdict"]
    return _section("What it keeps", note, _table(head, rows, numbers=(1, 2, 3, 4)), wide=True)


def _costs(evidence: Evidence) -> str:
    rows = [
        [
            f"{new.batch_rows}",
            _ms(old.p50_s),
            _ms(new.p50_s),
            f"{old.p50_s / new.p50_s:.2f} {TIMES}",
            _ms(old.p99_s),
            _ms(new.p99_s),
            f"{1000 * old.row_joules:.3g}",
            f"{1000 * new.row_joules:.3g}",
        ]
        for old, new in zip(evidence.source_costs, evidence.costs, strict=True)
    ]
    note = (
        "Asked by turns through the lane that serves it. Energy in millijoules of a row, "
        f"{evidence.energy}. Memory after an answer: {_size(evidence.source_memory_bytes)} before, "
        f"{_size(evidence.memory_bytes)} after."
    )
    head = ["batch", "median before", "after", "gain", "99 % before", "after", "mJ before", "after"]
    return _section("What it costs", note, _table(head, rows, numbers=range(8)), wide=True)


def _lines_of(evidence: Evidence) -> Iterable[str]:
    figure = "Agreement" if evidence.unlabelled else "Share of right answers"
    groups = {"class": evidence.classes, **evidence.slices}
    for name, lines in groups.items():
        if lines:
            note = f"{figure} among the rows of each {name}, those that lost most first."
            yield _section(f"By {name}", note, _table_of(lines))


def _table_of(lines: Sequence[ClassLine]) -> str:
    ordered = sorted(lines, key=lambda line: line.after - line.before)
    rows = [
        [line.name, f"{line.rows:,}", plain(line.before), plain(line.after), signed(line.after - line.before)]
        for line in ordered
    ]
    return _table(["", "rows", "before", "after", "change"], rows, numbers=(1, 2, 3, 4))


def _examples(evidence: Evidence) -> str:
    rows = [[str(each.row), each.truth, each.before, each.after] for each in evidence.examples]
    note = "Rows of the final part, numbered as in the data; those that became wrong come first."
    if not rows:
        return _section("Where old and new disagree", "Nowhere in the final part.", "")
    return _section("Where old and new disagree", note, _table(["row", "truth", "before", "after"], rows))


def _candidates(evidence: Evidence, front: Collection[tuple[str, ...]]) -> str:
    shown = [tried for tried in evidence.tried if tried.outcome is not Outcome.INAPPLICABLE]
    rows = [_candidate(tried, tried.recipe in front) for tried in shown]
    rest = [tried for tried in evidence.tried if tried.outcome is Outcome.INAPPLICABLE]
    unfit = "".join(f"<li>{escape(tried.name)}: {escape(tried.reason)}</li>" for tried in rest)
    head = ["candidate", "alone", "in 32", "size", "stands", "figures, or why not"]
    body = _table(head, rows, numbers=(1, 2, 3))
    if unfit:
        body += f"<p class='note'>With nothing to work on in this model:</p><ul>{unfit}</ul>"
    note = "Time and size as shares of the original's. A star: beaten by no other candidate."
    return _section("Every candidate", note, body, wide=True)


def _candidate(tried: Tried, best: bool) -> list[str]:
    name = f"{tried.name} ★" if best else tried.name
    if tried.outcome is Outcome.FAILED:
        return [name, "", "", "", "failed", tried.reason]
    times = [f"{tried.ratio('p50_s', size):.2f}" for size in (1, 32)] if tried.costs else ["", ""]
    size = f"{tried.size:.2f}"
    figures = "; ".join(finding.figures for finding in tried.findings)
    return [name, *times, size, str(tried.verdict), figures]


def _origin(evidence: Evidence) -> str:
    rows = [
        ["recipe", " + ".join(evidence.recipe)],
        ["seed", str(evidence.seed)],
        ["version", f"sha256:{evidence.digest}"],
        ["made from", f"sha256:{evidence.source_digest}"],
        ["data", f"sha256:{evidence.data_digest}"],
        *([name, f"sha256:{part['digest']}"] for name, part in evidence.parts.items()),
        ["machine", ", ".join(f"{name} {value}" for name, value in evidence.machine.items())],
    ]
    note = (
        "Enough to make it again, byte for byte. Another kind of machine measures again before it believes."
    )
    return _section("Where it comes from", note, _table(["", ""], rows), wide=True)


def _section(heading: str, note: str, body: str, *, wide: bool = False) -> str:
    kind = " class='wide'" if wide else ""
    return f"<section{kind}><h2>{escape(heading)}</h2><p class='note'>{escape(note)}</p>{body}</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> str:
    def cells(kind: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{kind}{' class=number' if place in numbers else ''}>{escape(text)}</{kind}>"
            for place, text in enumerate(texts)
        )

    top = f"<tr>{cells('th', head)}</tr>" if any(head) else ""
    lines = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<div class='scroll'><table>{top}{lines}</table></div>"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


def _size(count: float) -> str:
    return f"{count / 1e6:.3g} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"
