"""What every protocol is turned into, and what an answer is before a protocol gets it."""

from __future__ import annotations

from typing import Any

import msgspec

from forebay.core import Tensors


class Call(msgspec.Struct, gc=False):
    """One request for one model, whatever protocol it came by.

    `version` is the caller's own word (a number as text), None for what the deployment says. `id` is
    the caller's name for the request and goes back with the answer. `outputs` are the wanted ones in
    the wanted order, empty for all. `binary` says whether outputs go back as bytes; `binary_of` has
    the exceptions by output name. `classes` says of which outputs the best so many classes are wanted
    instead of the numbers. `timeout_s` is how long the caller will wait. `bf16` names the
    inputs whose uint16 are the bits of BF16, which NumPy cannot say.
    """

    model: str
    inputs: Tensors
    version: str | None = None
    id: str | None = None
    outputs: tuple[str, ...] = ()
    binary: bool = False
    binary_of: dict[str, bool] = {}
    parameters: dict[str, Any] = {}
    timeout_s: float | None = None
    bf16: tuple[str, ...] = ()
    classes: dict[str, int] = {}

    def with_inputs(self, inputs: Tensors, model: str, version: str | None) -> Call:
        """The same request with other *inputs*, for *model*."""
        return Call(
            model,
            inputs,
            version,
            self.id,
            self.outputs,
            self.binary,
            self.binary_of,
            self.parameters and dict(self.parameters),
            self.timeout_s,
            self.bf16,
            self.classes,
        )

    def wants_binary(self, output: str) -> bool:
        """Whether *output* goes back as bytes."""
        return self.binary_of.get(output, self.binary)


class Answer(msgspec.Struct, gc=False):
    """What the model said. `bf16` names the outputs whose uint16 are the bits of BF16."""

    model: str
    version: str | None
    outputs: Tensors
    id: str | None = None
    bf16: tuple[str, ...] = ()
