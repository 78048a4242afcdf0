"""A node in a process of its own that serves what it is told on standard input, one snapshot a line."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from forebay.core import Snapshot
from support.nodes import Prepared, Running


def main(folder: str, budget_bytes: str) -> None:
    """Say the port, and `ok` after each snapshot."""
    prepared = Prepared(Path(folder))
    node = Running(prepared, prepared.config(model_memory_bytes=int(budget_bytes)))
    node.start()
    sys.stdout.write(f"{node.port}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        node.apply(msgspec.json.decode(line, type=Snapshot))
        sys.stdout.write("ok\n")
        sys.stdout.flush()
    node.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
