"""Whose a model is, told by the names of its classes' modules: nothing is imported for it."""

from __future__ import annotations


def is_from(model: object, *packages: str) -> bool:
    """Whether a class of *model*, or one that it inherits from, is defined in one of *packages*.

    >>> import decimal
    >>> is_from(decimal.Decimal(), "decimal"), is_from(decimal.Decimal(), "dec")
    (True, False)
    """
    return any(cls.__module__.partition(".")[0] in packages for cls in type(model).__mro__)


def called(model: object) -> str:
    """The class of *model* with its module: `torch.nn.modules.linear.Linear`."""
    return f"{type(model).__module__}.{type(model).__qualname__}"
