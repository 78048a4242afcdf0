"""A toy server for tests of whoever starts servers."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from forebay.app.supervisor.parent import die_with_parent
from forebay.serving.node.announcing import announce


class Yes(BaseHTTPRequestHandler):
    """Answers 200 to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--die", action="store_true")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--with-grandchild", action="store_true")
    parser.add_argument("--parent", type=int)
    wanted = parser.parse_args()
    sys.stdout.write(f"toy starts on {wanted.port}\n")
    sys.stdout.flush()
    if wanted.die:
        sys.exit("toy: no bricks left")
    if wanted.parent:
        die_with_parent(os.getppid())
    if wanted.key:
        wanted.key.touch()
    if wanted.with_grandchild:
        subprocess.Popen(["sleep", "5"])

    def leave(_number: int, _frame: FrameType | None) -> None:
        if wanted.stubborn:
            return
        if wanted.trace:
            time.sleep(0.1)
            with wanted.trace.open("a") as file:
                file.write(f"{wanted.port}\n")
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    server = HTTPServer(("127.0.0.1", wanted.port), Yes)
    asyncio.run(announce(lambda: True))
    server.serve_forever()


if __name__ == "__main__":
    main()
