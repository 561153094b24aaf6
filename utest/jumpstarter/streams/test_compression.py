"""Compressed streams: what the command line tools write is read, what is cut or corrupt is an error, memory is bounded."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import lzma
import random
import shutil
import subprocess
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from anyio import EndOfStream
from hypothesis import given, settings
from hypothesis import strategies as st
from jumpstarter.streams.common import create_memory_stream
from jumpstarter.streams.compression import INFLATE_STEP, Deflater, Inflater
from jumpstarter.streams.encoding import (
    COMPRESSION_SIGNATURES,
    AutoDecompressIterator,
    Compression,
    ZlibCompressedStream,
    available_compressions,
    compress_stream,
    detect_compression_from_signature,
)

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
NAMES = sorted(COMPRESS)
TEXT = random.Random(5).randbytes(150_000) + b"jumpstarter " * 30_000


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def inflate(name: str, chunks: Iterator[bytes] | list[bytes]) -> bytes:
    inflater = Inflater(name)
    out = bytearray()
    for chunk in (*chunks, None):
        inflater.push(chunk)
        while (part := inflater.next()) is not None:
            out += part
    assert inflater.ended
    return bytes(out)


@pytest.mark.parametrize("size", [1, 7, 1000, 65536, 1 << 22])
@pytest.mark.parametrize("name", NAMES)
def test_data_comes_back_however_it_is_cut(name: str, size: int) -> None:
    text = TEXT if size > 100 else TEXT[-40_000:]
    assert inflate(name, pieces(COMPRESS[name](text), size)) == text


@pytest.mark.parametrize("size", [1, 7, 65536])
@pytest.mark.parametrize("name", NAMES)
def test_members_in_a_row_are_all_read(name: str, size: int) -> None:
    parts = [b"first" * 1000, b"", b"second" * 1000, b"x"]
    data = b"".join(COMPRESS[name](part) for part in parts)
    assert inflate(name, pieces(data, size)) == b"".join(parts)


@pytest.mark.parametrize("size", [1, 3, 65536])
@pytest.mark.parametrize("name", NAMES)
def test_padding_between_and_after_members_is_passed_over(name: str, size: int) -> None:
    member = COMPRESS[name](b"data" * 500)
    assert inflate(name, pieces(member + bytes(64) + member + bytes(512), size)) == b"data" * 1000


@pytest.mark.parametrize("name", NAMES)
def test_data_that_is_cut_is_an_error(name: str) -> None:
    data = COMPRESS[name](TEXT)
    for end in (1, 5, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match="ends in the middle: it was cut"):
            inflate(name, [data[:end]])


@pytest.mark.parametrize("name", NAMES)
def test_a_second_member_that_is_cut_is_an_error(name: str) -> None:
    member = COMPRESS[name](b"data" * 500)
    with pytest.raises(ValueError, match="ends in the middle"):
        inflate(name, [member + member[:-3]])


@pytest.mark.parametrize("name", NAMES)
def test_data_that_is_corrupt_is_an_error(name: str) -> None:
    data = bytearray(COMPRESS[name](TEXT))
    if name == "zstd":  # without a checksum zstd notices damage of its structure only
        data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(TEXT))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ValueError, match=f"not {name} data|ends in the middle"):
        inflate(name, pieces(bytes(data), 65536))


@pytest.mark.parametrize("name", NAMES)
def test_something_else_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"this is not {name} data"):
        inflate(name, [b"#!/bin/sh\necho no image\n" * 10])


@pytest.mark.parametrize("name", NAMES)
def test_garbage_after_the_data_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"this is not {name} data"):
        inflate(name, [COMPRESS[name](b"data") + b"garbage that is long enough to tell"])


def test_zlib_data_passes_as_gzip() -> None:
    assert inflate("gzip", [zlib.compress(TEXT)]) == TEXT


def _zeros(name: str, size: int) -> bytes:
    return COMPRESS[name](bytes(size))


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb_is_inflated_in_bounded_steps(name: str) -> None:
    """64 MiB of zeros in one frame: no step, and not the process, holds more than a part of them."""
    size = 64 << 20
    bomb = _zeros(name, size)
    largest = total = 0
    tracemalloc.start()
    try:
        inflater = Inflater(name)
        inflater.push(bomb)
        while (part := inflater.next()) is not None:
            largest, total = max(largest, len(part)), total + len(part)
            if total > size // 4:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total > size // 4
    assert largest <= (INFLATE_STEP if name != "zstd" else 20 << 20)
    assert peak < 48 << 20


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb_still_gives_all_of_its_bytes(name: str) -> None:
    size = 20 << 20
    assert len(inflate(name, [_zeros(name, size)])) == size


@pytest.mark.parametrize("tool", ["gzip", "xz", "bzip2", "zstd"])
def test_files_of_the_command_line_tools_are_read_and_written(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} on this machine")
    name = {"bzip2": "bz2"}.get(tool, tool)
    packed = subprocess.run([tool, "-c"], input=TEXT, capture_output=True, check=True).stdout
    assert inflate(name, pieces(packed + packed, 4096)) == TEXT + TEXT
    deflater = Deflater(name)
    ours = deflater.compress(TEXT) + deflater.flush()
    assert subprocess.run([tool, "-dc"], input=ours, capture_output=True, check=True).stdout == TEXT


def test_a_skippable_frame_of_zstd_is_passed_over() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    member = COMPRESS["zstd"](b"data")
    assert inflate("zstd", [skippable + member + skippable + member]) == b"datadata"


@settings(max_examples=25)
@given(st.sampled_from(NAMES), st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 50))
def test_what_is_deflated_comes_back(name: str, chunks: list[bytes], size: int) -> None:
    deflater = Deflater(name)
    packed = b"".join(deflater.compress(chunk) for chunk in chunks) + deflater.flush()
    assert inflate(name, pieces(packed, size)) == b"".join(chunks)


@pytest.mark.parametrize("name", NAMES)
def test_compressions_are_told_by_their_first_bytes(name: str) -> None:
    assert detect_compression_from_signature(COMPRESS[name](b"x")) == Compression(name)
    assert name in available_compressions()


def test_plain_data_has_no_compression() -> None:
    assert detect_compression_from_signature(b"plain") is None
    assert detect_compression_from_signature(b"") is None
    assert len(COMPRESSION_SIGNATURES) == len(Compression)


def test_an_unknown_compression_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'rar': expected one of gzip, xz, bz2, zstd"):
        Inflater("rar")


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_seen_through_a_compression(name: str) -> None:
    async def scenario() -> bytes:
        near, far = create_memory_stream()
        sender, receiver = compress_stream(near, name), compress_stream(far, Compression(name))
        await sender.send(TEXT[-1000:])
        await sender.send(b"more")
        await sender.send_eof()  # type: ignore[union-attr]
        out = b""
        try:
            while True:
                out += await receiver.receive()
        except EndOfStream:
            pass
        await sender.aclose()
        await receiver.aclose()
        return out

    assert asyncio.run(scenario()) == TEXT[-1000:] + b"more"


def test_without_a_compression_the_stream_stays_the_same() -> None:
    async def scenario() -> bool:
        near, far = create_memory_stream()
        same = compress_stream(near, None) is near
        zlib_stream = ZlibCompressedStream(stream=far)
        await near.send(gzip.compress(b"x"))
        assert await zlib_stream.receive() == b"x"
        await near.aclose()
        await far.aclose()
        return same

    assert asyncio.run(scenario())


@pytest.mark.parametrize("size", [1, 5, 70_000])
@pytest.mark.parametrize("name", [*NAMES, "plain"])
def test_compressed_data_is_recognised_and_plain_data_passes(name: str, size: int) -> None:
    data = TEXT[-5000:] if name == "plain" else COMPRESS[name](TEXT[-5000:])

    async def source() -> AsyncIterator[bytes]:
        for piece in pieces(data, size):
            yield piece

    async def scenario() -> bytes:
        return b"".join([chunk async for chunk in AutoDecompressIterator(source=source())])

    assert asyncio.run(scenario()) == TEXT[-5000:]


def test_nothing_stays_nothing() -> None:
    async def source() -> AsyncIterator[bytes]:
        return
        yield b""

    async def scenario() -> list[bytes]:
        return [chunk async for chunk in AutoDecompressIterator(source=source())]

    assert asyncio.run(scenario()) == []
