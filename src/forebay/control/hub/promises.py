"""From the language of promises to what the registry's gate holds versions to."""

from __future__ import annotations

from forebay.control.registry import Promised


def promised(text: str) -> tuple[Promised, ...]:
    """Read *text*; raises `Malformed` with what to write instead.

    >>> [each.text for each in promised("accuracy >= -.5; rmse<=+2%")]
    ['accuracy>=-0.5', 'rmse<=+2%']
    """
    from forebay.workshop.compress.keep import parse  # noqa: PLC0415 (brings the engine along)

    return tuple(
        Promised(
            text=str(promise),
            subject=promise.subject,
            kind="relative" if promise.relative else "change" if promise.change else "figure",
            bound=promise.bound,
            larger=promise.about.larger,
            unit="%" if promise.relative else "points" if promise.about.points else "",
        )
        for promise in parse(text)
    )
