"""Compression of anyio streams, under the documented import names; the codecs are in `jumpstarter.streams.compression`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from anyio import EndOfStream
from anyio.abc import AnyByteStream, ObjectStream

from .compression import (
    COMPRESSION_SIGNATURES,
    SIGNATURE_BUFFER_SIZE,
    Compression,
    Deflater,
    Inflater,
    available_compressions,
    create_decompressor,
    detect_compression_from_signature,
    known_compression,
)

__all__ = [
    "COMPRESSION_SIGNATURES",
    "SIGNATURE_BUFFER_SIZE",
    "AutoDecompressIterator",
    "CompressedStream",
    "Compression",
    "ZlibCompressedStream",
    "available_compressions",
    "compress_stream",
    "create_decompressor",
    "detect_compression_from_signature",
]


@dataclass(kw_only=True)
class CompressedStream(ObjectStream[bytes]):
    """An anyio stream over *stream*: what is received was compressed on the way, what is sent will be."""

    stream: AnyByteStream
    compression: Compression
    _inflater: Inflater = field(init=False)
    _deflater: Deflater = field(init=False)

    def __post_init__(self) -> None:
        self._inflater = Inflater(self.compression)
        self._deflater = Deflater(self.compression)

    async def receive(self) -> bytes:
        while (out := self._inflater.next()) is None:
            if self._inflater.ended:
                raise EndOfStream
            try:
                self._inflater.push(await self.stream.receive())
            except EndOfStream:
                self._inflater.push(None)
        return out

    async def send(self, item: bytes) -> None:
        if data := self._deflater.compress(item):
            await self.stream.send(data)

    async def send_eof(self) -> None:
        if data := self._deflater.flush():
            await self.stream.send(data)
        send_eof: Any = getattr(self.stream, "send_eof", None)
        if send_eof is not None:
            await send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()


@dataclass(kw_only=True)
class ZlibCompressedStream(CompressedStream):
    """`CompressedStream` for gzip."""

    compression: Compression = Compression.GZIP


def compress_stream(
    stream: AnyByteStream, compression: Compression | str | None
) -> AnyByteStream | ObjectStream[bytes]:
    """*stream* seen through *compression*; the same stream for None. Raises ValueError for an unknown name."""
    if compression is None:
        return stream
    return CompressedStream(stream=stream, compression=known_compression(compression))


@dataclass(kw_only=True)
class AutoDecompressIterator:
    """Iterates *source* (an async iterator of bytes), decompressed where its first bytes tell a known compression."""

    source: AsyncIterator[bytes]
    _inflater: Inflater | None = field(default=None, init=False)
    _ready: deque[bytes] = field(default_factory=deque, init=False)
    _started: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._started:
            self._started = True
            await self._start()
        if self._inflater is None:
            return self._ready.popleft() if self._ready else await anext(self.source)
        while (out := self._inflater.next()) is None:
            if self._inflater.ended:
                raise StopAsyncIteration
            self._inflater.push(await self._more())
        return out

    async def _start(self) -> None:
        head = b""
        while len(head) < SIGNATURE_BUFFER_SIZE and (chunk := await self._more()) is not None:
            head += chunk
        compression = detect_compression_from_signature(head)
        if compression is None:
            self._ready.append(head) if head else None
            return
        self._inflater = Inflater(compression)
        self._inflater.push(head)

    async def _more(self) -> bytes | None:
        try:
            return None if self._ended else await anext(self.source)
        except StopAsyncIteration:
            self._ended = True
            return None
