"""Plans and invoices in a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.instance import Instance
from support.shell import Shell

pytestmark = pytest.mark.slow


def test_an_invoice_is_written_as_what_was_asked_for_whatever_the_file_is_called(
    shared_forebay: Instance, tmp_path: Path
) -> None:
    shell, name = Shell.on(shared_forebay), "billed"
    shell.run("projects", "create", name)
    mine = ("--project", name)
    shell.run("plans", "create", name, "--price", "request=0.01", "--fee", "9.00", "--from", "2026-01-01")
    shell.run("plans", "use", name, "--from", "2026-01-01", *mine)
    [made] = shell.json("invoices", "issue", "2026-01", *mine)
    assert made["total"] == "9.00"
    page, table = tmp_path / "page.csv", tmp_path / "table"
    number = str(made["number"])
    shown = shell.run("invoices", "show", number, "--pdf", str(page), "--csv", str(table), *mine)
    assert "fee" in shown.stdout
    assert page.read_bytes().startswith(b"%PDF-")
    assert table.read_text().startswith("invoice,currency,kind,")
    assert "No such file" in shell.refused("invoices", "show", number, "--csv", "/nowhere/x.csv", *mine)
    assert "is closed" in shell.refused("invoices", "issue", "2026-01", *mine)
