"""Giving memory back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_MAPPED_FROM_BYTES = 1 << 20
_KEPT_AT_MOST_BYTES = 2 << 20


def give_back() -> None:
    """Return what the allocator keeps of freed memory; glibc keeps most of it otherwise."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def keep_little() -> None:
    """Once a process: let weights be mapped each by themselves, so that unloading gives all of them back.

    Left alone, glibc learns from the first weights that are freed to put those of their size on its
    heaps, and to keep twice as much at the end of each; `malloc_trim` cannot reach that.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_AT_MOST_BYTES)


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None  # another C library than glibc
