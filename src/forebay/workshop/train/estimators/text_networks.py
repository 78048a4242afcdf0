"""Texts by embedding plus head in PyTorch: each word has a place in a small space, a text is their sum.

That is fastText (Joulin et al., 2016), its words weighted by how rare they are: what stands before it counts
words and pairs of them, and hands over rows with few values that are not zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.estimators.networks import Task, settings_for
from forebay.workshop.train.estimators.offer import CLASSES, NUMBERS, QUANTILES, Asked, Estimator, Range
from forebay.workshop.train.estimators.precision import FLOAT32
from forebay.workshop.train.estimators.torch_networks import TorchNetwork

if TYPE_CHECKING:
    import torch

_SPREAD = 0.1


class TextNetwork(TorchNetwork):
    """An embedding of every column that is not zero, and a head; rows may be sparse."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, convolutional=False)

    def _batches(self, rows: Any) -> SparseRows:
        return SparseRows(rows)

    def _built(self, width: int) -> Any:
        return _embedded(self.task, width)

    def _served_layers(self) -> list[Any]:
        """The embedding as a matrix: what is served takes whole rows."""
        from torch import nn  # noqa: PLC0415 (heavy)

        embedding, head = self.module
        matrix = nn.Linear(embedding.bag.num_embeddings, embedding.bag.embedding_dim, bias=False)
        matrix.weight.data = embedding.bag.weight.data.T.contiguous()
        return [matrix, head]

    def _answers(self, rows: Any) -> Array:
        """Float32 of shape [rows, answers]."""
        import torch  # noqa: PLC0415 (heavy)

        served = self._finished([self.module])
        with torch.no_grad():
            return np.concatenate([served(part).numpy() for part in SparseRows(rows).parts()])


class SparseRows:
    """Rows as an embedding takes them: which values of each row are not zero, and what they are."""

    def __init__(self, rows: Any) -> None:
        from scipy.sparse import csr_matrix  # noqa: PLC0415 (heavy)

        self._rows = csr_matrix(rows)

    def __len__(self) -> int:
        return int(self._rows.shape[0])

    def __getitem__(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return _three(self._rows[places.numpy()])

    def parts(self, rows: int = 1024) -> list[Any]:
        """All of them, so many at once."""
        return [_three(self._rows[first : first + rows]) for first in range(0, len(self), rows)]


def _three(rows: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch  # noqa: PLC0415 (heavy)

    columns = torch.from_numpy(rows.indices.astype(np.int64))
    starts = torch.from_numpy(rows.indptr[:-1].astype(np.int64))
    return columns, starts, torch.from_numpy(rows.data.astype(np.float32))


def _embedded(task: Task, width: int) -> Any:
    from torch import nn  # noqa: PLC0415 (heavy)

    class Embedding(nn.Module):  # type: ignore[misc]  # PyTorch is untyped here
        """The sum of the places of a row's columns, each times its value."""

        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(width, task.settings.width, mode="sum")
            nn.init.normal_(self.bag.weight, std=_SPREAD)

        def forward(self, rows: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
            columns, starts, values = rows
            summed: torch.Tensor = self.bag(columns, starts, per_sample_weights=values)
            return summed

    settings, inside = task.settings, list[Any]()
    for _ in range(settings.layers):
        inside += [nn.Dropout(settings.dropout), nn.Linear(settings.width, settings.width), nn.ReLU()]
    head = nn.Sequential(*inside, nn.Dropout(settings.dropout), nn.Linear(settings.width, task.outputs))
    return nn.Sequential(Embedding(), head)


def _maker(kind: str) -> Any:
    def make(asked: Asked) -> TextNetwork:
        without = ("channels", "shift", "precision", *(() if kind == CLASSES else ("smoothing",)))
        own = {
            "precision": FLOAT32,
            "epochs": 20,
            "layers": 0,
            "dropout": 0.3,
            "learning_rate": 5e-3,
            "weight_decay": 1e-3,
        }
        return TextNetwork(Task(asked, kind, settings_for(asked, without, **own)))

    return make


TEXTS = (
    Estimator(
        "text-embedding",
        {kind: _maker(kind) for kind in (CLASSES, NUMBERS, QUANTILES)},
        {
            "width": (32, 64, 128),
            "layers": (0, 1),
            "dropout": Range(0.0, 0.6),
            "learning_rate": Range(1e-3, 2e-2, log=True),
            "weight_decay": Range(1e-4, 1e-1, log=True),
            "batch": (32, 64, 128),
        },
        scaled=True,
        filled=True,
        sparse=True,
        paced=True,
        words=True,
        module="torch",
        extra="torch",
    ),
)
