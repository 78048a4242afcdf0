"""What kind of machine computes, as far as the same bytes may answer otherwise on another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec


class MachineKind(msgspec.Struct, frozen=True):
    """The architecture, the instructions that low precision is computed with, and versions by package.

    How many cores there are, and how quick, is no part of it: that changes when an answer comes, and not
    what it is.
    """

    architecture: str
    features: tuple[str, ...]
    packages: Mapping[str, str]

    def unlike(self, measured: MachineKind, backend: str) -> str:
        """What this machine has otherwise than the one that *measured* in *backend*; empty if nothing.

        >>> here = MachineKind("x86_64", ("avx2",), {"onnxruntime": "1.30.0"})
        >>> there = MachineKind("x86_64", ("avx2", "avx512_vnni"), {"onnxruntime": "1.29.1"})
        >>> here.unlike(there, "onnxruntime")
        'lacks avx512_vnni, has onnxruntime 1.30.0 and not 1.29.1'
        >>> here.unlike(here, "onnxruntime")
        ''
        """
        return ", ".join(self._others(measured, backend))

    def _others(self, measured: MachineKind, backend: str) -> Iterator[str]:
        if self.architecture != measured.architecture:
            yield f"is {self.architecture} and not {measured.architecture}"
        if less := set(measured.features) - set(self.features):
            yield f"lacks {', '.join(sorted(less))}"
        if more := set(self.features) - set(measured.features):
            yield f"has {', '.join(sorted(more))} besides"
        here, there = self.packages.get(backend, ""), measured.packages.get(backend, "")
        if not here or not there:
            yield f"has {backend} {here or '(which version is unknown)'} and not {there or 'a known version'}"
        elif here != there:
            yield f"has {backend} {here} and not {there}"
