"""`python -m forebay.workshop.compress.measuring FOLDER`: the memory of one artifact, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from forebay.core.errors import ForebayError
from forebay.workshop.compress.measuring.weighing import weigh_here


def main() -> int:
    """Weigh the folder that is named; 1 with a sentence when it cannot be."""
    try:
        memory_bytes = weigh_here(Path(sys.argv[1]))
    except ForebayError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps({"memory_bytes": memory_bytes}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
