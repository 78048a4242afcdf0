"""Networks for the tests: small, and each with a habit of its own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from forebay.core import Array


class Pictures(nn.Module):  # type: ignore[misc]  # untyped here
    """What a convolutional classifier is made of; dropout and batch norm answer otherwise while it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.decide = nn.Linear(4 * 36, 10)

    def forward(self, image: Any) -> Any:
        return self.decide(self.drop(torch.relu(self.norm(self.convolve(image)))).flatten(1))


class Mixed(nn.Module):  # type: ignore[misc]  # as above
    """Whole numbers, a switch and measurements in; a mapping out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 4)
        self.price = nn.Linear(7, 1)

    def forward(self, item: Any, sold: Any, sizes: Any) -> Any:
        joined = torch.cat([self.embed(item), sizes], dim=1)
        return {"price": self.price(joined), "open": ~sold, "item": item + 1}


class Mends(nn.Module):  # type: ignore[misc]  # as above
    """Decides by its data, harmlessly: an answer depends on its own row."""

    def __init__(self) -> None:
        super().__init__()
        self.decide = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.isnan(x).any():
            x = torch.nan_to_num(x)
        return self.decide(x)


class MendsByName(Mends):
    """The same, with an answer that TorchScript's exporter cannot write."""

    def forward(self, x: torch.Tensor) -> Any:
        if torch.isnan(x).any():
            x = torch.nan_to_num(x)
        return {"score": self.decide(x)}


class Scales(nn.Module):  # type: ignore[misc]  # as above
    """Decides by its data, and by that of its neighbours."""

    def forward(self, x: Any) -> Any:
        if x.max() > 1:
            x = x / 255
        return x * 2


class Centres(nn.Module):  # type: ignore[misc]  # as above
    """Looks at the whole batch."""

    def forward(self, x: Any) -> Any:
        return x - x.mean(0)


class Pairs(nn.Module):  # type: ignore[misc]  # as above
    """Works for two rows only."""

    def forward(self, x: Any) -> Any:
        return x.reshape(2, 4) * 2


class Sums(nn.Module):  # type: ignore[misc]  # as above
    """Answers one number for all rows."""

    def forward(self, x: Any) -> Any:
        return x.sum()


class Moments(nn.GRU):  # type: ignore[misc]  # as above
    """Takes moments in the first dimension and sequences in the second, as PyTorch does unless told."""

    def __init__(self) -> None:
        super().__init__(4, 3)

    def forward(self, x: Any) -> Any:
        return super().forward(x)[0]


class Guesses(nn.Module):  # type: ignore[misc]  # as above
    """Drops out even when it answers."""

    def forward(self, x: Any) -> Any:
        return nn.functional.dropout(x, 0.5, training=True)


class Nested(nn.Module):  # type: ignore[misc]  # as above
    """Takes keywords only; gives a mapping of mappings."""

    def __init__(self) -> None:
        super().__init__()
        self.price = nn.Linear(4, 2)

    def forward(self, *, x: Any, scale: Any) -> Any:
        return {"house": {"price": self.price(x), "parts": [x, x * scale]}, "rest": scale}


class Reads(nn.Module):  # type: ignore[misc]  # as above
    """Words as numbers, as many as there are."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 4)
        self.decide = nn.Linear(4, 3)

    def forward(self, words: Any) -> Any:
        return self.decide(self.embed(words).mean(1))


class Decides(nn.Linear):  # type: ignore[misc]  # as above
    """A class that makes itself."""

    def __init__(self) -> None:
        super().__init__(4, 2)


def answers_of(module: Any, rows: Array) -> Array:
    """What the module itself says to *rows*, asked of a copy."""
    with torch.no_grad():
        answers: Array = copy.deepcopy(module).eval()(torch.from_numpy(rows)).numpy()
    return answers
