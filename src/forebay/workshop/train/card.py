"""The card: what a person should know before they trust or call a model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from forebay.workshop.convert import Converted
from forebay.workshop.train.choosing import Chosen
from forebay.workshop.train.preparing import Facts
from forebay.workshop.train.scores import MEANING, better
from forebay.workshop.train.trials import DONE, PRUNED, Candidate

_CANDIDATES_SHOWN = 30
_CLASSES_SHOWN = 30
_COLUMNS_SHOWN = 60


def card_of(
    name: str, facts: Facts, chosen: Chosen, evidence: tuple[dict[str, Any], ...], converted: Converted
) -> str:
    """The card in Markdown."""
    held_out, _, parity = evidence[:3]
    made = " + ".join(f"{part.weight:.2f} {part.estimator}" for part in chosen.parts)
    what = f"An ensemble ({made})" if len(chosen.parts) > 1 else f"A {chosen.estimator}"
    about = (
        f"{what} for the {facts.task} of `{facts.target}` ({facts.why_task}), "
        f"trained on {facts.rows_train} rows and measured on {held_out['rows']} others ({facts.split} split)."
    )
    blocks = [
        f"# {name or 'Model'}",
        about,
        "## Scores",
        _table(
            ("metric", "held-out", "cross-validation", "laziest answer", "meaning"), _scores(chosen, held_out)
        ),
    ]
    if "per_class" in held_out:
        blocks += ["## Classes", _table(("class", "precision", "recall", "F1", "rows"), _classes(held_out))]
    if len(chosen.candidates) > 1 or chosen.skipped:
        blocks += ["## Compared", _table(_head(chosen), _compared(chosen))]
    blocks += ["## Data", _data(facts)]
    blocks += ["## Columns", _table(("column", "kind", "missing", "different"), _columns(facts))]
    blocks += ["## Proof", _proof(parity), "## How to call it", _call(name, converted)]
    return "\n\n".join(blocks) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _scores(chosen: Chosen, held_out: dict[str, Any]) -> list[tuple[str, ...]]:
    best = chosen.best if len(chosen.parts) == 1 else None
    mean, std = (best.mean, best.std) if best is not None else ({}, {})
    return [
        (
            metric,
            f"{value:.4f}",
            f"{mean[metric]:.4f} ± {std[metric]:.4f}" if metric in mean else "",
            f"{held_out['baseline'][metric]:.4f}" if metric in held_out["baseline"] else "",
            MEANING[metric],
        )
        for metric, value in held_out["metrics"].items()
    ]


def _classes(held_out: dict[str, Any]) -> list[tuple[str, ...]]:
    figures = list(held_out["per_class"].items())
    rows = [
        (label, *(f"{one[name]:.3f}" for name in ("precision", "recall", "f1")), f"{one['rows']:.0f}")
        for label, one in figures[:_CLASSES_SHOWN]
    ]
    more = len(figures) - _CLASSES_SHOWN
    return rows if more <= 0 else [*rows, (f"… and {more} more", "", "", "", "")]


def _head(chosen: Chosen) -> tuple[str, ...]:
    costs = {"latency": "served ms", "size": "bytes"}
    extra = [costs[objective] for objective in chosen.objectives]
    return ("estimator", chosen.metric, "±", "seconds", *extra, *(["Pareto"] if extra else []))


def _compared(chosen: Chosen) -> list[tuple[str, ...]]:
    """The best first; of a long search the thirty best."""
    metric = chosen.metric
    through = [one for one in chosen.candidates if one.state == DONE]
    ordered = sorted(through, key=lambda one: -better(metric, one.mean[metric]))
    rows = [_line(chosen, one) for one in ordered[:_CANDIDATES_SHOWN]]
    width = len(_head(chosen))
    told = [f"… and {len(ordered) - _CANDIDATES_SHOWN} more"] if len(ordered) > _CANDIDATES_SHOWN else []
    pruned = sum(one.state == PRUNED for one in chosen.candidates)
    told += [f"{pruned} given up half-way"] if pruned else []
    rows += [(line, *[""] * (width - 1)) for line in told]
    rows += [(f"{one.estimator}", "failed", *[""] * (width - 2)) for one in chosen.candidates if one.why]
    return rows + [(name, "left out for want of time", *[""] * (width - 2)) for name in chosen.skipped]


def _line(chosen: Chosen, one: Candidate) -> tuple[str, ...]:
    metric = chosen.metric
    name = one.estimator if one.as_it_is else f"{one.estimator} ({_told(one.params)})"
    cells = [name, f"{one.mean[metric]:.4f}", f"{one.std[metric]:.4f}", f"{one.seconds:.1f}"]
    if chosen.objectives:
        costs = {"latency": f"{one.latency_ms or 0.0:.3f}", "size": str(one.size_bytes)}
        cells += [*(costs[objective] for objective in chosen.objectives), "yes" if one.pareto else ""]
    return tuple(cells)


def _told(params: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in params.items()
    )


def _data(facts: Facts) -> str:
    lines = [f"- {facts.rows} rows from {facts.origin}, SHA-256 `{facts.sha256}`"]
    if facts.rows_sampled is not None:
        lines.append(f"- {facts.rows_sampled} of them, drawn at random, fitted into the memory allowed")
    if facts.rows_streamed:
        lines.append(f"- {facts.rows_streamed} others were learnt from as they passed by")
    lines += [f"- left out: {told}" for told in facts.left_out]
    lines += [f"- mind: {told}" for told in facts.warnings]
    return "\n".join(lines)


def _columns(facts: Facts) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (column.name, column.kind.value, str(column.missing), str(column.distinct))
        for column in facts.columns[:_COLUMNS_SHOWN]
    ]
    more = len(facts.columns) - _COLUMNS_SHOWN
    return rows if more <= 0 else [*rows, (f"… and {more} more", "", "", "")]


def _proof(parity: dict[str, Any]) -> str:
    return (
        f"Converted to ONNX and compared with its source ({parity['source']}) on {parity['rows']} held-out "
        f"rows and {parity['edge_rows']} edge rows: {parity['rows_off'] + parity['edge_rows_off']} differ by "
        f"more than {parity['tolerance']:g}."
    )


def _call(name: str, converted: Converted) -> str:
    body = json.dumps(
        {"records" if _recorded(converted) else "rows": [_first_row(converted)]}, ensure_ascii=False
    )
    quoted = body.replace("'", "'\\''")
    return (
        "```sh\n"
        f'curl -H "Authorization: Bearer $FOREBAY_KEY" http://127.0.0.1:8000/predict/{name or "NAME"} \\\n'
        f"  -d '{quoted}'\n"
        "```"
    )


def _recorded(converted: Converted) -> bool:
    return len(converted.signature.inputs) > 1


def _first_row(converted: Converted) -> Any:
    if _recorded(converted):
        return {name: _plain(values[0].item()) for name, values in converted.sample.items()}
    [values] = converted.sample.values()
    return [_plain(value) for value in np.ravel(values[0]).tolist()]


def _plain(value: Any) -> Any:
    """A float32 as people write it: 5.1, not 5.099999904632568."""
    return float(str(np.float32(value))) if isinstance(value, float) else value
