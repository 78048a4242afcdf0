"""A first card for a version that came without one."""

from __future__ import annotations

from typing import Any

from forebay.client.evidence import line_of
from forebay.core import ArtifactInfo, TensorSpec

_FEW = 12
_LONG = 300


def card_for(name: str, info: ArtifactInfo, evidence: list[dict[str, Any]]) -> str:
    """Markdown from what is known: task, signature, evidence. Its owner may say more."""
    lines = [f"# {name}", "", _first_line(info, evidence), "", "## Takes and gives", ""]
    lines += [f"- takes {_spec(spec)}" for spec in info.signature.inputs]
    lines += [f"- gives {_spec(spec)}" for spec in info.signature.outputs]
    if info.code:
        needs: list[str] = next((entry["requirements"] for entry in evidence if "requirements" in entry), [])
        lines += ["", "## Code", "", "Serving it runs Python of its owner's, with:", ""]
        lines += [f"- `{requirement}`" for requirement in needs] or ["- nothing but Python"]
    lines += _metadata(evidence)
    if evidence:
        lines += ["", "## Evidence", ""]
        lines += [f"- {_evidence(entry)}" for entry in evidence]
    return "\n".join(lines) + "\n"


def _metadata(evidence: list[dict[str, Any]]) -> list[str]:
    """What the model's own file says about itself, and where an MLflow run left it."""
    found = {
        str(name): " ".join(str(text).split())
        for entry in evidence
        for key in ("metadata", "mlflow")
        for name, text in dict(entry.get(key) or {}).items()
    }
    lines = [f"- {name}: {text[:_LONG]}{' …' * (len(text) > _LONG)}" for name, text in found.items()]
    return ["", "## Metadata", "", *lines] if lines else []


def _first_line(info: ArtifactInfo, evidence: list[dict[str, Any]]) -> str:
    source = next((entry["source"] for entry in evidence if "source" in entry), "")
    return f"{info.task.capitalize() or 'A model'}{f', from {source}' if source else ''}, as {info.model}."


def _spec(spec: TensorSpec) -> str:
    columns = ", ".join(spec.columns[:_FEW]) + (" …" if len(spec.columns) > _FEW else "")
    return f"`{spec.name}` {spec.datatype} {list(spec.shape)}{f': {columns}' if columns else ''}"


def _evidence(entry: dict[str, Any]) -> str:
    return f"{entry.get('kind', 'measurement')}: {line_of(entry)}"
