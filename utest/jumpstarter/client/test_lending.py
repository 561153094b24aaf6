"""Data that clients lend to drivers: its end, its breaks, and whose error arrives."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
import zstandard
from anyio import BrokenResourceError, EndOfStream
from anyio.abc import ObjectStream
from jumpstarter.common.exceptions import DriverError
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export
from jumpstarter.streams.common import create_memory_stream

DATA = bytes(range(256)) * 6_000


class Store(Driver):
    """Keeps what it reads, and how reading ended."""

    content: bytes = b""
    end: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.began, self.over = threading.Event(), threading.Event()

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def read(self, handle: Any) -> int:
        self.content, self.end = b"", "error"
        try:
            with self.resource_blocking(handle) as stream:
                for chunk in stream:
                    self.content += chunk
                    self.began.set()
        finally:
            self.over.set()
        self.end = "whole"
        return len(self.content)

    @export
    async def read_async(self, handle: Any) -> int:
        self.content, self.end = b"", "error"
        async with self.resource(handle) as stream:
            async for chunk in stream:
                self.content += chunk
        self.end = "whole"
        return len(self.content)

    @export
    def read_and_ignore(self, handle: Any) -> str:
        """Takes a break for no reason to fail."""
        try:
            self.read(handle)
        except Exception as error:  # noqa: BLE001
            return f"broke: {error}"
        return "whole"

    @export
    def write(self, handle: Any) -> None:
        with self.resource_blocking(handle) as stream:
            for start in range(0, len(DATA), 100_000):
                stream.write(DATA[start : start + 100_000])

    @export
    def fail(self, handle: Any) -> None:
        with self.resource_blocking(handle):
            raise RuntimeError("the device is gone")

    @export
    def nothing(self, handle: Any) -> None:
        return None


class Stream(ObjectStream[bytes]):
    """Gives *pieces* and raises what is no piece; keeps what it is sent."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = list(pieces)
        self.got = b""
        self.ended = self.closed = False

    async def receive(self) -> bytes:
        if not self.pieces:
            raise EndOfStream
        piece = self.pieces.pop(0)
        if isinstance(piece, bytes):
            return piece
        raise piece

    async def send(self, item: bytes) -> None:
        self.got += item

    async def send_eof(self) -> None:
        self.ended = True

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def driver() -> Store:
    return Store()


@pytest.fixture
def client(driver: Store) -> Iterator[Any]:
    with serve(driver) as client:
        yield client


async def lend(client: Any, stream: Any, method: str, encoding: str | None = None) -> Any:
    async with client.resource_async(stream, encoding) as handle:
        return await client.call_async(method, handle)


@pytest.mark.parametrize("method", ["read", "read_async"])
def test_a_stream_is_read_whole(client: Any, driver: Store, method: str) -> None:
    stream = Stream(DATA, b"", DATA[:5])
    assert asyncio.run(lend(client, stream, method)) == len(DATA) + 5
    assert (driver.content, stream.closed) == (DATA + DATA[:5], True)


def test_the_last_bytes_of_a_driver_arrive(client: Any) -> None:
    stream = Stream()
    asyncio.run(lend(client, stream, "write"))
    assert (stream.got, stream.ended, stream.closed) == (DATA, True, True)


BREAKS = [
    BrokenResourceError(),
    ConnectionResetError("cable"),
    anyio.ClosedResourceError(),
    ValueError("bad"),
]


@pytest.mark.parametrize("error", BREAKS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["read", "read_async"])
@pytest.mark.parametrize("pieces", [(), (DATA,), (b"x", DATA)])
def test_a_stream_that_breaks_looks_whole_to_nobody(
    client: Any, driver: Store, method: str, pieces: tuple[bytes, ...], error: Exception
) -> None:
    with pytest.raises(type(error)) as raised:
        asyncio.run(lend(client, Stream(*pieces, error), method))
    assert raised.value is error
    assert driver.end == "error"


def test_a_break_is_raised_even_if_the_driver_does_not_mind(client: Any, driver: Store) -> None:
    told = []

    async def run() -> None:
        async with client.resource_async(Stream(DATA, BrokenResourceError())) as handle:
            told.append(await client.call_async("read_and_ignore", handle))

    with pytest.raises(BrokenResourceError):
        asyncio.run(run())
    assert told[0].startswith("broke: ")
    assert driver.end == "error"


class Oops(Exception):
    pass


@pytest.mark.parametrize("pieces", [(), (DATA,) * 20])
def test_the_error_of_the_body_arrives_as_itself(client: Any, pieces: tuple[bytes, ...]) -> None:
    error = Oops()

    async def run() -> None:
        async with client.resource_async(Stream(*pieces)):
            raise error

    with pytest.raises(Oops) as raised:
        asyncio.run(run())
    assert raised.value is error


def test_the_error_of_the_driver_arrives_as_itself(client: Any) -> None:
    with pytest.raises(DriverError, match="the device is gone"):
        asyncio.run(lend(client, Stream(DATA), "fail"))

    async def idle() -> None:
        ours, theirs = create_memory_stream()
        async with ours:
            await lend(client, theirs, "fail")

    with pytest.raises(DriverError, match="the device is gone"):
        asyncio.run(idle())


def test_a_driver_that_does_not_use_the_data_delays_nobody(client: Any) -> None:
    with anyio_limit(20):
        asyncio.run(lend(client, Stream(*[DATA] * 20), "nothing"))


class anyio_limit:  # noqa: N801
    """Fails when the body takes longer than so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        import time

        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        import time

        assert time.monotonic() - self.started < self.seconds


def test_a_cancelled_body_stays_cancelled_and_its_upload_is_cut(client: Any, driver: Store) -> None:
    async def run() -> None:
        ours, theirs = create_memory_stream()
        async with ours:
            reading = asyncio.create_task(lend(client, theirs, "read"))
            await ours.send(DATA)
            await asyncio.to_thread(driver.began.wait, 30)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading

    asyncio.run(run())
    assert driver.over.wait(30)
    assert driver.end == "error"


class WriteOnly:
    """As files that are open for writing: reading them is refused."""

    def __init__(self) -> None:
        self.got = b""

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def receive(self) -> bytes:
        raise io.UnsupportedOperation("not readable")

    async def send(self, item: bytes) -> None:
        self.got += item


def test_a_stream_that_is_only_written_takes_what_a_driver_writes(client: Any) -> None:
    stream = WriteOnly()
    asyncio.run(lend(client, stream, "write"))
    assert stream.got == DATA


class Full(Stream):
    async def send(self, item: bytes) -> None:
        raise OSError(28, "No space left on device")


def test_a_stream_that_cannot_be_written_is_the_error(client: Any) -> None:
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(lend(client, Full(), "write"))


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zstd": zstandard.compress,
}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "xz": lzma.decompress,
    "bz2": bz2.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("refused", [False, True])
def test_an_encoding_is_undone_by_whoever_can(
    encoding: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if refused:
        monkeypatch.setenv("JMP_DISABLE_COMPRESSION", "1")
    driver, stream, packed = Store(), Stream(), COMPRESS[encoding](DATA)
    with serve(driver) as client:
        asyncio.run(lend(client, Stream(packed[:1000], packed[1000:]), "read", encoding))
        assert driver.content == DATA
        asyncio.run(lend(client, stream, "write", encoding))
        assert DECOMPRESS[encoding](stream.got) == DATA
        with client.sending([packed], encoding) as handle:
            client.call("read", handle)
        assert driver.content == DATA
        file = io.BytesIO()
        with client.receiving(file, encoding) as handle:
            client.call("write", handle)
        assert DECOMPRESS[encoding](file.getvalue()) == DATA
        for cut in (packed[:-5], packed[: len(packed) // 2], packed[:3]):
            with pytest.raises((DriverError, ValueError), match=r"ends in the middle|is not"):
                asyncio.run(lend(client, Stream(cut), "read", encoding))
            assert driver.end == "error"


def test_an_iterator_that_breaks_looks_whole_to_nobody(client: Any, driver: Store) -> None:
    def pieces() -> Iterator[bytes]:
        yield DATA
        raise Oops

    with pytest.raises(Oops), client.sending(pieces()) as handle:
        client.call("read", handle)
    assert driver.end == "error"
    with pytest.raises(Oops), client.sending(pieces()) as handle:
        assert client.call("read_and_ignore", handle).startswith("broke")
