"""Compressed data that would take the memory of whoever reads it, on either side."""

from __future__ import annotations

import bz2
import gzip
import lzma
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest
import zstandard
from jumpstarter.streams.compression import INFLATE_STEP, Inflater, inflated

ZEROS = bytes(1 << 26)
BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(ZEROS),
    "bz2": lambda: bz2.compress(ZEROS),
    "xz": lambda: lzma.compress(ZEROS),
    "zstd": lambda: zstandard.compress(ZEROS),
}


@pytest.mark.parametrize("compression", BOMBS)
def test_what_one_step_gives_is_bounded(compression: str) -> None:
    inflater = Inflater(compression)
    inflater.push(BOMBS[compression]())
    total = 0
    while (piece := inflater.next()) is not None:
        assert len(piece) <= 16 * INFLATE_STEP
        total += len(piece)
    assert total == len(ZEROS)


def xz_with_dictionary(size: int) -> bytes:
    """xz data that tells its reader to keep *size* bytes: the header of the block says so, and writing it takes no memory."""
    small = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    # Block header (xz format 1.2.0, 3.1): size, flags, filter 0x21, size of its properties 1, dictionary size, padding, CRC32.
    header = bytearray(small[12:24])
    assert header[2:4] == b"\x21\x01"
    bits = next(bits for bits in range(41) if (2 | bits & 1) << (bits // 2 + 11) >= size)
    header[4] = bits
    header[8:12] = lzma_crc(bytes(header[:8]))
    return small[:12] + bytes(header) + small[24:]


def lzma_crc(data: bytes) -> bytes:
    import zlib

    return zlib.crc32(data).to_bytes(4, "little")


def test_xz_that_wants_more_memory_than_is_allowed_is_refused() -> None:
    assert b"".join(inflated([xz_with_dictionary(64 << 20)], "xz")) == b"x"
    for size in (256 << 20, 1 << 30):
        with pytest.raises(ValueError, match=r"needs more than 128 MiB of memory .*xz -9 or less"):
            list(inflated([xz_with_dictionary(size)], "xz"))


def test_zstd_that_wants_more_memory_than_is_allowed_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = compressor.compress(b"x" * 1000) + compressor.flush()
    with pytest.raises(ValueError, match=r"zstd data needs more than 128 MiB of memory"):
        list(inflated([data], "zstd"))


PROGRAM = """
import resource, sys
from jumpstarter.streams.compression import inflated
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(len(piece) for piece in inflated([sys.stdin.buffer.read()], sys.argv[1]))
print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("compression", BOMBS)
def test_reading_a_bomb_takes_little_memory(compression: str) -> None:
    assert resource.RUSAGE_SELF == 0
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, compression],
        input=BOMBS[compression](),
        capture_output=True,
        check=True,
    )
    total, kilobytes = map(int, done.stdout.split())
    assert total == len(ZEROS)
    assert kilobytes < 48 * 1024
