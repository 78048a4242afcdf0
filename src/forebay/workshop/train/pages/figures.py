"""The pictures of a report, each from plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from forebay.core import Array
from forebay.workshop.drawing import Frame, drawing, short

_MOST_CLASSES = 20
_WIDTH = 520
_MOST_DOTS = 400
_BINS = 10


def confusion(target: Array, labels: Array, classes: Sequence[str]) -> str | None:
    """Of each true class (a row), where its rows went; None for more classes than one can see."""
    count = len(classes)
    if count > _MOST_CLASSES:
        return None
    table = np.zeros((count, count), dtype=int)
    np.add.at(table, (target, labels), 1)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    cell, top = min(72.0, 380.0 / count), 34.0
    left = max(110.0, (_WIDTH - cell * count) / 2)
    parts = [f'<text x="{left + cell * count / 2:g}" y="12" class="label mid">said to be</text>']
    for place, name in enumerate(classes):
        across, down = left + cell * (place + 0.5), top + cell * (place + 0.5)
        parts.append(
            f'<text x="{across:g}" y="{top - 8:g}" class="tick mid">{escape(_brief(name, cell))}</text>'
        )
        parts.append(f'<text x="{left - 8:g}" y="{down + 4:g}" class="tick end">{escape(name[:14])}</text>')
    for row, column in np.ndindex(count, count):
        parts.append(
            _cell(int(table[row, column]), float(shares[row, column]), row, column, (left, top, cell))
        )
    return drawing(_WIDTH, top + cell * count + 8, parts, "confusion matrix")


def _cell(rows: int, share: float, row: int, column: int, place: tuple[float, float, float]) -> str:
    left, top, cell = place
    x, y = left + column * cell, top + row * cell
    kind = "right" if row == column else "wrong"
    size = f'width="{cell - 2:g}" height="{cell - 2:g}"'
    square = (
        f'<rect x="{x + 1:g}" y="{y + 1:g}" {size} rx="3" class="{kind}" fill-opacity="{_ink(share):.3f}"/>'
    )
    if not rows or cell < 16:
        return square
    tone = "cell light" if share > 0.55 else "cell"
    return f'{square}<text x="{x + cell / 2:g}" y="{y + cell / 2 + 4:g}" class="{tone} mid">{rows}</text>'


def _ink(share: float) -> float:
    return 0.05 if share == 0 else 0.12 + 0.88 * share


def _brief(name: str, cell: float) -> str:
    fits = max(1, int(cell / 7))
    return name if len(name) <= fits else f"{name[: fits - 1]}…"


def calibration(shares: Array, right: Array) -> str:
    """How often the model is right when it is so sure: on the diagonal, probabilities mean what they say."""
    frame = Frame((0, 1), (0, 1), label_x="probability that it said", label_y="share that was right")
    frame.line([(0, 0), (1, 1)], "ideal")
    bins = np.minimum((shares * _BINS).astype(int), _BINS - 1)
    points, sizes = [], []
    for one in range(_BINS):
        inside = bins == one
        if inside.any():
            points.append((float(shares[inside].mean()), float(right[inside].mean())))
            sizes.append(int(inside.sum()))
    frame.line(points, "line")
    for point, size in zip(points, sizes, strict=True):
        frame.dots([point], "dot", 3 + 9 * (size / max(sizes)) ** 0.5)
    return frame.svg("calibration")


def truth_and_answer(target: Array, answers: Array) -> str:
    """Each row's truth and answer: on the diagonal where it is right."""
    low, high = float(min(target.min(), answers.min())), float(max(target.max(), answers.max()))
    frame = Frame((low, high), (low, high), label_x="truth", label_y="answer")
    frame.line([(low, low), (high, high)], "ideal")
    frame.dots(_some(target, answers), "dot faint", 2.6)
    return frame.svg("truth and answer")


def residuals(target: Array, answers: Array) -> str:
    """How often the answer is off by how much."""
    errors = answers - target
    counts, edges = np.histogram(errors, bins=min(31, max(8, round(len(errors) ** 0.5))))
    frame = Frame((edges[0], edges[-1]), (0, counts.max()), label_x="answer less truth", label_y="rows")
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        frame.bar((left, right), float(count), "bar")
    frame.line([(0, 0), (0, counts.max())], "ideal")
    return frame.svg("residuals")


def quantile_band(target: Array, answers: Array) -> str:
    """Rows in the order of their middle answer: the truth as dots, the outer quantiles as a band."""
    order = np.argsort(answers[:, answers.shape[1] // 2])
    order = order[np.linspace(0, len(order) - 1, min(len(order), _MOST_DOTS)).astype(int)]
    told, truth = answers[order], target[order]
    low, high = float(min(told.min(), truth.min())), float(max(told.max(), truth.max()))
    frame = Frame((0, len(order) - 1), (low, high), label_x="rows, by their answer", label_y="value")
    across = list(range(len(order)))
    lower = list(zip(across, told[:, 0].tolist(), strict=True))
    upper = list(zip(across, told[:, -1].tolist(), strict=True))
    frame.area(lower, upper, "band")
    frame.line(list(zip(across, told[:, told.shape[1] // 2].tolist(), strict=True)), "line")
    frame.dots(list(zip(across, truth.tolist(), strict=True)), "dot faint", 2.2)
    return frame.svg("quantiles and truth")


def forecast(known: Array, target: Array, answers: Array) -> str:
    """The last held-out window: what was known, what came, what was foreseen."""
    lags, steps = len(known), len(target)
    values = np.concatenate([known, target, answers])
    frame = Frame((-lags + 1, steps), (values.min(), values.max()), label_x="steps from now", label_y="value")
    frame.line([(0, values.min()), (0, values.max())], "ideal")
    past = list(zip(range(-lags + 1, 1), known.tolist(), strict=True))
    frame.line(past, "past")
    ahead = range(1, steps + 1)
    frame.line([past[-1], *zip(ahead, target.tolist(), strict=True)], "past dashed")
    frame.line([past[-1], *zip(ahead, answers.tolist(), strict=True)], "line")
    frame.dots(list(zip(ahead, answers.tolist(), strict=True)), "dot", 3)
    return frame.svg("the last forecast")


def learning(curve: Sequence[dict[str, float]]) -> str:
    """Loss by epoch, on the rows it learns from and on those it stops by."""
    epochs = [point["epoch"] for point in curve]
    losses = {name: [point[name] for point in curve if name in point] for name in ("loss", "validation_loss")}
    values = [value for one in losses.values() for value in one]
    frame = Frame((epochs[0], epochs[-1]), (0, max(values)), label_x="epoch", label_y="loss")
    frame.line(list(zip(epochs, losses["loss"], strict=True)), "past")
    if losses["validation_loss"]:
        frame.line(list(zip(epochs, losses["validation_loss"], strict=True)), "line")
    return frame.svg("loss by epoch")


def history(scores: Sequence[float], best: Sequence[float], label: str) -> str:
    """Every trial's score, and the best so far."""
    low = float(np.quantile(scores, 0.1))
    high = max(scores)
    shown = [(n + 1, max(low, score)) for n, score in enumerate(scores)]
    frame = Frame((1, max(2, len(scores))), (low, high), label_x="trial", label_y=label)
    frame.dots(shown, "dot faint", 3)
    frame.line([(n + 1, max(low, score)) for n, score in enumerate(best)], "line")
    return frame.svg("the search")


def front(points: Sequence[tuple[float, float, bool, bool]], label_x: str, label_y: str) -> str:
    """Cost and score of each candidate: whether nobody is better in both, and whether it was chosen."""
    across, up = [point[0] for point in points], [point[1] for point in points]
    frame = Frame((0, max(across)), (min(up), max(up)), label_x=label_x, label_y=label_y)
    edge = sorted((x, y) for x, y, best, _ in points if best)
    frame.line(edge, "ideal")
    frame.dots([(x, y) for x, y, best, _ in points if not best], "dot faint", 3)
    frame.dots(edge, "dot", 4)
    frame.dots([(x, y) for x, y, _, chosen in points if chosen], "ring", 8)
    return frame.svg("score against cost")


def plane(rows: Array, labels: Array) -> str:
    """Rows on their two main axes, coloured by cluster."""
    centred = rows - rows.mean(axis=0)
    axes = np.linalg.svd(centred[:2000], full_matrices=False)[2][:2]
    flat = centred @ axes.T if len(axes) > 1 else np.column_stack([centred, np.zeros(len(centred))])
    keep = np.linspace(0, len(flat) - 1, min(len(flat), _MOST_DOTS)).astype(int)
    spans = [(float(flat[:, n].min()), float(flat[:, n].max())) for n in (0, 1)]
    frame = Frame(spans[0], spans[1], label_x="first main axis", label_y="second")
    for label in np.unique(labels):
        mine = keep[labels[keep] == label]
        frame.dots([(float(x), float(y)) for x, y in flat[mine]], f"dot c{int(label) % 8}", 3)
    return frame.svg("clusters")


def strangeness(scores: Array) -> str:
    """How many rows are how strange; right of the line they are anomalies."""
    counts, edges = np.histogram(scores, bins=30)
    frame = Frame((edges[0], edges[-1]), (0, counts.max()), label_x="score", label_y="rows")
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        frame.bar((left, right), float(count), "bar strong" if left >= 0 else "bar")
    frame.line([(0, 0), (0, counts.max())], "ideal")
    return frame.svg("scores")


def tile(value: float, name: str, under: str) -> str:
    """One large number, as HTML."""
    return (
        f'<div class="tile"><b>{escape(short(value) if abs(value) >= 1000 else f"{value:.3f}")}</b>'
        f"<span>{escape(name.replace('_', ' '))}</span><small>{escape(under)}</small></div>"
    )


def _some(x: Array, y: Array) -> list[tuple[float, float]]:
    keep = np.linspace(0, len(x) - 1, min(len(x), _MOST_DOTS)).astype(int)
    return [(float(a), float(b)) for a, b in zip(x[keep], y[keep], strict=True)]
