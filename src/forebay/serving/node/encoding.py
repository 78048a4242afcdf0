"""Content-Encoding, both ways: gzip and deflate (a zlib stream), with a lid on what comes out."""

from __future__ import annotations

import gzip
import zlib

from forebay.core.errors import Malformed, TooLarge

_GZIP_BITS = 31
_ZLIB_BITS = 15
_WORTH_BYTES = 1024
_LEVEL = 1  # the node's time is dearer than the last tenth of the bytes


def decoded(body: bytes, encoding: bytes | None, limit_bytes: int) -> bytes:
    """*body* without its encoding; raises `Malformed`, or `TooLarge` before it makes too many bytes."""
    if encoding is None or encoding == b"identity":
        return body
    kind = encoding.lower()
    if kind not in (b"gzip", b"deflate"):
        raise Malformed(f"unknown Content-Encoding {encoding.decode('latin-1')!r}; use gzip, deflate or none")
    stream = zlib.decompressobj(_GZIP_BITS if kind == b"gzip" else _ZLIB_BITS)
    try:
        plain = stream.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise Malformed(f"the body is not valid {kind.decode()}: {error}") from None
    if len(plain) > limit_bytes:
        raise TooLarge(f"the body unpacks to more than {limit_bytes} bytes")
    if not stream.eof or stream.unused_data:
        raise Malformed(f"the {kind.decode()} body is cut short, or has something behind it")
    return plain


def encoded(body: bytes, accept: bytes | None) -> tuple[bytes, bytes]:
    """*body* as the caller asked for it with Accept-Encoding, and the header line that says so."""
    if accept is None or len(body) < _WORTH_BYTES:
        return body, b""
    wanted = _wanted(accept)
    if b"gzip" in wanted:
        return gzip.compress(body, _LEVEL, mtime=0), b"content-encoding: gzip\r\n"
    if b"deflate" in wanted:
        return zlib.compress(body, _LEVEL), b"content-encoding: deflate\r\n"
    return body, b""


def _wanted(accept: bytes) -> set[bytes]:
    parts = [part.strip().partition(b";") for part in accept.lower().split(b",")]
    return {name.strip() for name, _, quality in parts if quality.strip() not in (b"q=0", b"q=0.0")}
