"""One machine's inference door.

A node promises: nobody gets in without a key; an answer leaves only after its usage is written down;
a request never waits for the hub; a swap of versions drops nobody.
"""

from forebay.serving.node.config import NodeConfig

__all__ = ["NodeConfig", "run"]


def run(config: NodeConfig) -> None:
    """Serve until told to leave (see `process.run`)."""
    from forebay.serving.node.process import run as serve  # noqa: PLC0415 (ONNX Runtime comes with it)

    serve(config)
