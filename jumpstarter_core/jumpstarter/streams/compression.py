"""Compression of byte streams.

Reading takes any number of gzip members, xz and bz2 streams and zstd frames in a row, as the command line tools write them
when files are concatenated. What one step inflates is bounded, however small its input: a hostile stream costs time, not
memory. Data that ends in the middle is an error, never a silent end.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import Any, Final, Protocol

#: Bytes that one step of inflation gives at the most.
INFLATE_STEP: Final = 1 << 20
#: Bytes of memory that reading one stream takes at the most: twice what `xz -9` needs, and what zstd allows by itself.
MEMORY_LIMIT: Final = 128 << 20
#: zstd has no bound on output, only on the ratio of a block: so little input at a time.
_ZSTD_STEP: Final = 512


class Compression(StrEnum):
    """How the bytes of a resource are compressed."""

    GZIP = "gzip"
    XZ = "xz"
    BZ2 = "bz2"
    ZSTD = "zstd"


#: First bytes of compressed data. Sources: RFC 1952, the .xz file format 1.2.0, bzip2, RFC 8878.
COMPRESSION_SIGNATURES: Final[dict[Compression, bytes]] = {
    Compression.GZIP: b"\x1f\x8b",
    Compression.XZ: b"\xfd7zXZ\x00",
    Compression.BZ2: b"BZh",
    Compression.ZSTD: b"\x28\xb5\x2f\xfd",
}
SIGNATURE_BUFFER_SIZE: Final = 8


def detect_compression_from_signature(data: bytes) -> Compression | None:
    """The compression whose signature *data* starts with, or None."""
    for compression, signature in COMPRESSION_SIGNATURES.items():
        if data.startswith(signature):
            return compression
    return None


def available_compressions() -> frozenset[str]:
    """Names of the compressions that this installation can read and write."""
    import importlib.util

    names = {Compression.GZIP, Compression.XZ, Compression.BZ2}
    if importlib.util.find_spec("zstandard") is not None:
        names.add(Compression.ZSTD)
    return frozenset(str(name) for name in names)


def usable_compressions() -> frozenset[str]:
    """Compressions that resources may have; none with JMP_DISABLE_COMPRESSION=1."""
    import os

    return frozenset() if os.environ.get("JMP_DISABLE_COMPRESSION") == "1" else available_compressions()


class _Decompressor(Protocol):
    """One gzip member, xz or bz2 stream, or zstd frame."""

    def step(self, data: bytes) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def hungry(self) -> bool: ...
    @property
    def rest(self) -> bytes: ...


class _Zlib:
    def __init__(self) -> None:
        # 32 + 15: the largest window, gzip or zlib header told apart by zlib itself.
        self._inner = zlib.decompressobj(47)
        self._tail = b""

    def step(self, data: bytes) -> bytes:
        out = self._inner.decompress(self._tail + data, INFLATE_STEP)
        self._tail = self._inner.unconsumed_tail
        return out

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def hungry(self) -> bool:
        return not self._tail

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data


class _Standard:
    """lzma and bz2 have one interface."""

    def __init__(self, inner: lzma.LZMADecompressor | bz2.BZ2Decompressor) -> None:
        self._inner = inner

    def step(self, data: bytes) -> bytes:
        return self._inner.decompress(data, INFLATE_STEP)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def hungry(self) -> bool:
        return self._inner.needs_input

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data


class _Zstd:
    def __init__(self) -> None:
        self._inner = _zstandard().ZstdDecompressor(max_window_size=MEMORY_LIMIT).decompressobj()
        self._pending = b""
        self._taken = 0

    def step(self, data: bytes) -> bytes:
        if data:
            self._pending, self._taken = self._pending[self._taken :] + data, 0
        start, self._taken = self._taken, min(self._taken + _ZSTD_STEP, len(self._pending))
        return bytes(self._inner.decompress(self._pending[start : self._taken]))

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def hungry(self) -> bool:
        return self._taken == len(self._pending)

    @property
    def rest(self) -> bytes:
        return bytes(self._inner.unused_data) + self._pending[self._taken :]


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        from jumpstarter.common.exceptions import ConfigurationError

        raise ConfigurationError(
            "zstd compression needs the extra 'zstd': pip install 'robotframework-jumpstarter[zstd]'"
        ) from None
    return zstandard


def create_decompressor(compression: Compression | str) -> Any:
    """A decompressor for one member, stream or frame of *compression*. Raises ValueError for an unknown name."""
    match known_compression(compression):
        case Compression.GZIP:
            return _Zlib()
        case Compression.XZ:
            return _Standard(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_LIMIT))
        case Compression.BZ2:
            return _Standard(bz2.BZ2Decompressor())
        case _:
            return _Zstd()


def known_compression(compression: Compression | str) -> Compression:
    try:
        return Compression(compression)
    except ValueError:
        raise ValueError(
            f"unknown compression {compression!r}: expected one of {', '.join(Compression)}"
        ) from None


class Inflater:
    """Decompresses a stream fed piece by piece; `push` what arrives (None at the end), take chunks with `next`.

    *create* makes the decompressor of one member of a compression that is none of `Compression`.
    """

    def __init__(self, compression: Compression | str, create: Callable[[], Any] | None = None) -> None:
        self.name = compression if create else known_compression(compression)
        self._create = create or partial(create_decompressor, compression)
        self._inner: _Decompressor = self._create()
        self._fed = False  # the current member has seen data
        self._between = False  # a member has ended, and no other one has begun
        self._input = b""
        self._ended = False

    @property
    def ended(self) -> bool:
        """True when everything was taken."""
        return self._ended

    def push(self, data: bytes | None) -> None:
        """Take compressed bytes, or None for the end. Raises ValueError when the data ends in the middle."""
        if data is not None:
            self._input += data
            return
        if self._fed and not self._inner.eof:
            raise ValueError(
                f"the {self.name} data ends in the middle: it was cut, compress and send it again"
            )
        self._ended = True

    def next(self) -> bytes | None:
        """The next decompressed bytes; None when more input is needed. Raises ValueError for data that is corrupt."""
        while self._input or (self._fed and not self._inner.eof and not self._inner.hungry):
            if self._inner.eof:
                self._inner = self._create()
                self._fed, self._between = False, True
            if self._between:
                # Padding between and after members, as tapes and some writers leave it.
                self._input = self._input.lstrip(b"\0")
                if not self._input:
                    break
                self._between = False
            if out := self._step():
                return out
        return None

    def _step(self) -> bytes:
        data, self._input = self._input, b""
        self._fed = True
        try:
            out = self._inner.step(data)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            raise self._refusal(error) from None
        except Exception as error:
            # The other libraries are imported where they are used, and so are their errors.
            if type(error).__name__ not in ("ZstdError", "error"):
                raise
            raise self._refusal(error) from None
        if self._inner.eof:
            self._input = self._inner.rest
        return out

    def _refusal(self, error: Exception) -> ValueError:
        if "emory" in str(error):  # lzma: Memory usage limit exceeded; zstd: Frame requires too much memory
            return ValueError(
                f"the {self.name} data needs more than {MEMORY_LIMIT >> 20} MiB of memory to be read: "
                "compress it with a smaller window (xz -9 or less, zstd without --long or --ultra)"
            )
        return ValueError(f"this is not {self.name} data: {error}")


def inflated(chunks: Iterable[bytes], compression: Compression | str) -> Iterator[bytes]:
    """*chunks* decompressed. Raises ValueError as `Inflater` does."""
    inflater = Inflater(compression)
    for chunk in chain(chunks, (None,)):
        inflater.push(chunk)
        while (out := inflater.next()) is not None:
            yield out


class Deflater:
    """Compresses a stream fed piece by piece."""

    def __init__(self, compression: Compression | str) -> None:
        self._inner = _create_compressor(known_compression(compression))

    def compress(self, data: bytes) -> bytes:
        """Compressed bytes, perhaps none yet."""
        return bytes(self._inner.compress(data))

    def flush(self) -> bytes:
        """The end of the compressed data."""
        return bytes(self._inner.flush())


def _create_compressor(compression: Compression) -> Any:
    match compression:
        case Compression.GZIP:
            return zlib.compressobj(wbits=31)
        case Compression.XZ:
            return lzma.LZMACompressor(lzma.FORMAT_XZ)
        case Compression.BZ2:
            return bz2.BZ2Compressor()
        case _:
            return _zstandard().ZstdCompressor().compressobj()
