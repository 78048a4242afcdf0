"""PyTorch's pickles and TorchScript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forebay.core.extras import need
from forebay.workshop.convert.apart import must_be_apart


def load_pickled_module(path: Path) -> Any:
    """What `torch.save(model, path)` wrote; raises whatever its code does."""
    must_be_apart(path)
    return need("torch", "torch").load(path, map_location="cpu", weights_only=False)


def load_script(path: Path) -> Any:
    """The TorchScript module at *path*."""
    must_be_apart(path)
    return need("torch", "torch").jit.load(path, map_location="cpu")
