"""Weights written in few bytes, which the graph itself unpacks once, when it is loaded.

A table of at most 256 values and a byte for each weight (weight sharing), and for what is zero nearly
everywhere a bit for each weight besides (Han, Mao, Dally 2016). What follows them reads floats as before: it
is the file that becomes smaller, not the arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array

_VALUES = 256
_ROUNDS = 12


def shared_values(values: Array) -> tuple[Array, Array]:
    """A table float32 [at most 256], and for each of *values* its place in it, uint8, in the same form.

    Lloyd's k-means (1982) from quantiles on, the same for the same values.
    """
    flat = values.reshape(-1).astype(np.float64)
    table = np.unique(np.quantile(flat, np.linspace(0, 1, _VALUES)))
    for _ in range(_ROUNDS):
        places = _nearest(table, flat)
        counts = np.bincount(places, minlength=len(table))
        sums = np.bincount(places, weights=flat, minlength=len(table))
        table = np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), table))
    return table.astype(np.float32), _nearest(table, flat).astype(np.uint8).reshape(values.shape)


def _nearest(table: Array, values: Array) -> Array:
    return np.searchsorted((table[1:] + table[:-1]) / 2, values)


class Packer:
    """Takes weights out of a graph, and puts nodes that unpack them in their place."""

    def __init__(self, proto: Any) -> None:
        self._proto = proto
        self._made: list[Any] = []

    def share(self, name: str, values: Array) -> None:
        """Write the weight *name* as places in a table."""
        table, places = shared_values(values)
        number = self._node("Cast", [self._constant(name, "places", places)], f"{name}_numbers", to=6)
        self._node("Gather", [self._constant(name, "table", table), number], name, axis=0)
        self._drop(name)

    def thin(self, name: str, values: Array) -> None:
        """Write the weight *name*, zero nearly everywhere, as bits and the values where a bit is set."""
        flat = values.reshape(-1)
        table, places = shared_values(flat[flat != 0])
        bits = self._bits(name, flat != 0)
        ordinal = self._node("CumSum", [bits, self._constant(name, "axis", np.array(0))], f"{name}_ordinal")
        place = self._node("Mul", [ordinal, bits], f"{name}_place")
        number = self._node("Cast", [self._constant(name, "places", places)], f"{name}_numbers", to=6)
        found = self._node("Gather", [self._constant(name, "table", table), number], f"{name}_found", axis=0)
        nothing = self._constant(name, "nothing", np.zeros(1, np.float32))
        all_values = self._node("Concat", [nothing, found], f"{name}_values", axis=0)
        line = self._node("Gather", [all_values, place], f"{name}_line", axis=0)
        shape = self._constant(name, "shape", np.array(values.shape, dtype=np.int64))
        self._node("Reshape", [line, shape], name)
        self._drop(name)

    def _bits(self, name: str, mask: Array) -> str:
        """int32 [weights] of 0 and 1, from a byte for eight of them."""
        octets = np.packbits(mask, bitorder="little").reshape(-1, 1)
        powers = (2 ** np.arange(8)).astype(np.int32).reshape(1, 8)
        wide = self._node("Cast", [self._constant(name, "octets", octets)], f"{name}_wide", to=6)
        moved = self._node("Div", [wide, self._constant(name, "powers", powers)], f"{name}_moved")
        two = self._constant(name, "two", np.array(2, dtype=np.int32))
        table = self._node("Mod", [moved, two], f"{name}_bits")
        line = self._node(
            "Reshape", [table, self._constant(name, "flat", np.array([-1]))], f"{name}_all_bits"
        )
        ends = [self._constant(name, what, np.array([at])) for what, at in (("from", 0), ("to", mask.size))]
        return self._node("Slice", [line, *ends], f"{name}_mask")

    def done(self) -> Any:
        """The graph, the new nodes before all others."""
        old = list(self._proto.graph.node)
        del self._proto.graph.node[:]
        self._proto.graph.node.extend([*self._made, *old])
        return self._proto

    def _node(self, kind: str, inputs: list[str], output: str, **about: Any) -> str:
        import onnx  # noqa: PLC0415 (heavy)

        self._made.append(onnx.helper.make_node(kind, inputs, [output], name=f"{output}_unpack", **about))
        return output

    def _constant(self, name: str, what: str, values: Array) -> str:
        import onnx  # noqa: PLC0415 (heavy)

        found = f"{name}_{what}"
        self._proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values), found))
        return found

    def _drop(self, name: str) -> None:
        kept = [each for each in self._proto.graph.initializer if each.name != name]
        del self._proto.graph.initializer[:]
        self._proto.graph.initializer.extend(kept)
        for node in [n for n in self._proto.graph.node if n.op_type == "Constant" and n.output[0] == name]:
            self._proto.graph.node.remove(node)
