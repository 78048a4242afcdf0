"""Print docs/settings.md from the settings themselves; `make docs` writes it."""

from __future__ import annotations

from forebay.app.settings import as_markdown

_HEAD = """\
# Settings

Every knob is an environment variable; commands have options for the ones that people turn most
(`forebay up --help`), and an option wins. A misspelt variable is an error, so nothing is silently ignored.
Durations end in `_S` (seconds), sizes in `_BYTES`. This page is printed by `make docs`.
"""

print(_HEAD, as_markdown(), sep="\n", end="")  # noqa: T201 (printing is what this is for)
