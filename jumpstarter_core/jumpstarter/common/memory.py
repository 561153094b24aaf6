"""Keeping freed buffers for the next chunk.

glibc gives the memory of a large buffer back to the kernel when the buffer is freed, and takes fresh, zeroed pages for the
next one. A stream of chunks of 1 MiB then costs a page fault for each 4 KiB: measured, 60 000 faults and half of the
exporter's CPU time for 256 MiB. With the thresholds below such buffers come from memory that the process has already.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Final, NoReturn

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3

#: Buffers below this many bytes are taken from the heap; gRPC messages are below it.
_LARGEST_BUFFER: Final = 16 << 20
#: Free bytes at the top of a heap that are kept.
_KEPT: Final = 32 << 20
#: Seconds after which memory that is free goes back to the system.
TRIM_INTERVAL: Final = 60.0


@cache
def keep_buffers() -> None:
    """Tell the C library to keep the memory of freed buffers, up to 32 MiB. Does nothing where there is no glibc."""
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BUFFER)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_TOP_PAD, 1 << 20)


def give_back() -> None:
    """Give memory that is free back to the system. Takes milliseconds; does nothing where there is no glibc."""
    malloc_trim = _function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


async def keep_giving_back(interval: float = TRIM_INTERVAL) -> NoReturn:
    """Every *interval* seconds: what a burst of connections took would stay with the process for good."""
    import asyncio

    while True:
        await asyncio.sleep(interval)
        await asyncio.to_thread(give_back)


def _function(name: str) -> Any:
    """A function of the C library; None where it has none of that name, or is not Linux's."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), name, None)
