"""Bytes ↔ words: what callers send becomes a `Call`, what a model says becomes their bytes.

Pure functions, both ends of each protocol in one place: `oip` is the Open Inference Protocol v2,
`rows` the plain door that takes and gives rows. Whatever the bytes are, nothing but a
`ForebayError` with a sentence for the caller comes out.
"""

from forebay.serving.wire.call import Answer, Call

__all__ = ["Answer", "Call"]
