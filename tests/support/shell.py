"""The command line without a process for each command: the same code, a hundred times as fast."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

from forebay.app.cli import run
from support.instance import Done, Instance


class Shell:
    """Somebody's terminal, on the machine of *instance* (or with any *environ*)."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ

    @classmethod
    def on(cls, instance: Instance) -> Shell:
        """A terminal on the machine where *instance* runs."""
        return cls(instance.environ)

    def run(self, *words: str, stdin: str = "", check: bool = True) -> Done:
        """Type `forebay …`; a command that fails fails the test, unless *check* is False."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        with self._typing(stdin), redirect_stdout(out), redirect_stderr(err):
            code = run(words)
        printed = []
        for stream in (out, err):
            stream.seek(0)
            printed.append(stream.read())
        assert not check or code == 0, f"{words}: {printed}"
        return Done(list(words), code, *printed)

    def json(self, *words: str, stdin: str = "") -> Any:
        """What `forebay … --json` answers."""
        return json.loads(self.run(*words, "--json", stdin=stdin).stdout)

    def refused(self, *words: str, stdin: str = "") -> str:
        """The one line that a command that fails says after its progress."""
        done = self.run(*words, stdin=stdin, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        *_progress, line = done.stderr.splitlines()
        assert line.startswith("forebay: ")
        return line

    @contextmanager
    def _typing(self, stdin: str) -> Iterator[None]:
        with patch.dict(os.environ, self.environ, clear=True), patch.object(sys, "stdin", io.StringIO(stdin)):
            yield
