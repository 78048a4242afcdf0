"""Files of Keras 2: settings of layers that Keras 3 refuses are left out, where they mean nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forebay.core.errors import Unsupported
from forebay.core.extras import need

_MEANS_NOTHING = {"time_major": False}
"""What Keras 2 wrote into recurrent layers, with the value that changes nothing."""


@contextmanager
def readable(path: Path, config: Any) -> Iterator[Path]:
    """A file that Keras 3 reads: *path*, an `.h5` with this *config*, or a copy where its layers are mended.

    Raises `Unsupported` where a setting that is gone did mean something.
    """
    if not _mend(config, path):
        yield path
        return
    with TemporaryDirectory(prefix="forebay-keras-") as folder:
        copy = Path(folder, path.name)
        shutil.copyfile(path, copy)
        with need("h5py", "keras").File(copy, "r+") as file:
            file.attrs["model_config"] = json.dumps(config)
        yield copy


def _mend(config: Any, path: Path) -> int:
    """Take the settings that are gone out of *config*; how many there were."""
    if isinstance(config, list):
        return sum(_mend(part, path) for part in config)
    if not isinstance(config, dict):
        return 0
    found = sum(_mend(part, path) for part in config.values())
    for name, nothing in _MEANS_NOTHING.items():
        if name not in config:
            continue
        if config.pop(name) != nothing:
            raise Unsupported(
                f"{path.name!r} has a layer with {name}, which is gone from Keras 3; load it with tf_keras, "
                "build it without, and save it again"
            )
        found += 1
    return found
