"""``Content-Encoding`` of HTTP answers: decoding what servers compress although nobody asked for it (RFC 9110, 8.4)."""

from __future__ import annotations

import zlib
from typing import Any, Final

from jumpstarter.streams.compression import INFLATE_STEP, Compression, Inflater, available_compressions

__all__ = ["decoders"]

#: Codings that one body may have. Each takes the memory of `Inflater`; servers use one.
MAX_CODINGS: Final = 3


def decoders(header: str) -> list[Inflater]:
    """What undoes the codings of *header*, in the order of undoing. Raises ValueError for one that is not known here."""
    names = [name.strip().lower() for name in header.split(",")]
    codings = [name for name in reversed(names) if name not in ("", "identity")]
    if len(codings) > MAX_CODINGS:
        raise ValueError(f"its Content-Encoding has {len(codings)} codings, expected at most {MAX_CODINGS}")
    return [_decoder(name) for name in codings]


def _decoder(name: str) -> Inflater:
    known = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate}
    if Compression.ZSTD in available_compressions():
        known["zstd"] = _zstd
    if _brotli() is not None:
        known["br"] = _br
    if name not in known:
        hints = {"br": ": pip install 'brotli>=1.2'", "zstd": ": pip install zstandard"}
        raise ValueError(
            f"its Content-Encoding is {name!r}, which cannot be undone here{hints.get(name, '')}; known are {', '.join(known)}"
        )
    return known[name]()


def _gzip() -> Inflater:
    return Inflater(Compression.GZIP)


def _zstd() -> Inflater:
    return Inflater(Compression.ZSTD)


def _deflate() -> Inflater:
    return Inflater("deflate", _Deflate)


def _br() -> Inflater:
    return Inflater("br", _Brotli)


class _Deflate:
    """zlib data as the standard wants it, or raw deflate data, which many servers send in its place."""

    def __init__(self) -> None:
        self._inner: Any = None
        self._tail = b""
        self._head = b""

    def step(self, data: bytes) -> bytes:
        if self._inner is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            data, self._inner = self._head, zlib.decompressobj(15 if _is_zlib(self._head) else -15)
        out: bytes = self._inner.decompress(self._tail + data, INFLATE_STEP)
        self._tail = self._inner.unconsumed_tail
        return out

    @property
    def eof(self) -> bool:
        return self._inner is not None and self._inner.eof

    @property
    def hungry(self) -> bool:
        return not self._tail

    @property
    def rest(self) -> bytes:
        return bytes(self._inner.unused_data)


def _is_zlib(head: bytes) -> bool:
    """RFC 1950: method 8 (deflate), and both bytes together are a multiple of 31."""
    return head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0


class _Brotli:
    def __init__(self) -> None:
        self._inner = _brotli().Decompressor()
        self._hungry = True

    def step(self, data: bytes) -> bytes:
        out = bytes(self._inner.process(data, output_buffer_limit=INFLATE_STEP))
        # It says that it can take more while it still has something to give.
        self._hungry = not out
        return out

    @property
    def eof(self) -> bool:
        return bool(self._inner.is_finished())

    @property
    def hungry(self) -> bool:
        return self._hungry

    @property
    def rest(self) -> bytes:
        return b""


def _brotli() -> Any:
    """The module, if it is there and can bound what it gives."""
    try:
        import brotli
    except ImportError:
        return None
    return brotli if hasattr(brotli.Decompressor, "can_accept_more_data") else None
