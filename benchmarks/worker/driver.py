"""The driver that the exporter serves, and its client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ByteStream
from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export, exportstream

from .payload import ITEM, PONG


class CountingSink(ByteStream):
    """Takes bytes, keeps none, and sends one back when *size* have come."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._complete = anyio.Event()
        self._confirmed = False

    async def send(self, item: bytes) -> None:
        self._missing -= len(item)
        if self._missing <= 0:
            self._complete.set()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if self._confirmed:
            raise anyio.EndOfStream
        await self._complete.wait()
        self._confirmed = True
        return b"."

    async def send_eof(self) -> None:
        """The count says when it is over."""

    async def aclose(self) -> None:
        """Nothing is open."""


class BenchDriver(Driver):
    """One method for each kind of call."""

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "benchmarks.worker.driver.BenchClient"

    @export
    def ping(self) -> str:
        """A short text."""
        return PONG

    @export
    def echo(self, value: Any) -> Any:
        """What it is given."""
        return value

    @export
    def items(self, count: int) -> Iterator[Any]:
        """*count* times the same dictionary."""
        for _ in range(int(count)):
            yield ITEM

    @export
    def expect(self, size: int) -> None:
        """The next sink is complete with *size* bytes."""
        self.expected = int(size)

    @exportstream
    @asynccontextmanager
    async def sink(self) -> AsyncIterator[CountingSink]:
        """A stream that takes bytes, and answers with one byte when all have come."""
        yield CountingSink(self.expected)


class BenchClient(DriverClient):
    """Nothing beyond `call`, `streamingcall` and `stream`."""
