"""How exactly a network computes while it learns: some CPUs multiply in bfloat16, and large ones gain."""

from __future__ import annotations

AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "bfloat16"
PRECISIONS = (AUTO, FLOAT32, BFLOAT16)
_WORTH_WIDTH = 512
"""From this width on a layer gains more than changing to bfloat16 and back costs."""


def precision_for(asked: str, *, convolutional: bool, width: int) -> str:
    """What *asked* means on this machine; `auto` takes bfloat16 where it pays.

    Weights, sums and what is served stay float32 (Micikevicius et al., 2018).
    """
    if asked != AUTO:
        return asked
    return BFLOAT16 if (convolutional or width >= _WORTH_WIDTH) and _multiplies_bfloat16() else FLOAT32


def _multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions for it; elsewhere it is slower than float32."""
    import torch  # noqa: PLC0415 (heavy)

    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
