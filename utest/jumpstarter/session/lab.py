"""Drivers that do what the tests of sessions need: block, flood, fail, keep a stream open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from anyio import EndOfStream
from anyio.abc import ByteStream, ObjectStream
from jumpstarter.common.exceptions import ExporterNotReady
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.streams.common import create_memory_stream


class Custom(Exception):
    """An error that no client knows."""


class Echo(ObjectStream[bytes]):
    """Gives back what it got; at the end of input it says so, then ends."""

    def __init__(self, log: list[str]) -> None:
        self._near, self._far = create_memory_stream()
        self._log = log

    async def send(self, item: bytes) -> None:
        await self._near.send(item)

    async def receive(self) -> bytes:
        try:
            return await self._far.receive()
        except EndOfStream:
            if "eof" in self._log:
                raise
            self._log.append("eof")
            return b"<end of input>"

    async def send_eof(self) -> None:
        await self._near.send_eof()

    async def aclose(self) -> None:
        await self._near.aclose()
        await self._far.aclose()


class Flood(ByteStream):
    """Endless bytes, counted."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await asyncio.sleep(0)
        self._lab.flooded += 65536
        return bytes(65536)

    async def send(self, item: bytes) -> None:
        """Nobody reads it."""

    async def send_eof(self) -> None:
        """Nobody reads it."""

    async def aclose(self) -> None:
        self._lab.note("flood closed")


@dataclass(kw_only=True)
class Lab(Driver):
    """`events` is what happened; `wait_for` waits until something has."""

    events: list[str] = field(default_factory=list)
    flooded: int = 0
    release: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    def note(self, event: str) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, event: str, timeout: float = 60.0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: event in self.events, timeout)

    @export
    def echo(self, value: Any) -> Any:
        return value

    @export
    async def echo_async(self, value: Any) -> Any:
        return value

    @export
    def block(self) -> None:
        self.note("blocking")
        self.release.wait(60)

    @export
    async def sleep(self) -> None:
        self.note("sleeping")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.note("cancelled")
            raise

    @export
    def big(self, size: int) -> str:
        return "x" * size

    @export
    def fail(self, kind: str) -> None:
        errors: dict[str, Exception] = {
            "value": ValueError("bad voltage"),
            "timeout": TimeoutError("no answer"),
            "missing": NotImplementedError("not on this board"),
            "key": KeyError("boom"),
            "custom": Custom("fuse blown"),
            "empty": Custom(),
            "not-ready": ExporterNotReady("powered off"),
            "lines": Custom("one\ntwo"),
        }
        raise errors[kind]

    @export
    def return_object(self) -> Any:
        return object()

    @export
    def items(self, count: int) -> Generator[int]:
        try:
            yield from range(count)
        finally:
            self.note("items closed")

    @export
    async def items_async(self) -> AsyncIterator[int]:
        try:
            n = 0
            while True:
                yield n
                n += 1
        finally:
            self.note("async items closed")

    @export
    def failing_items(self) -> Generator[int]:
        yield 1
        raise Custom("half-way")

    @export
    def blocked_items(self) -> Generator[int]:
        yield 1
        self.release.wait(60)

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ObjectStream[bytes]]:
        self.note("opened")
        log: list[str] = []
        stream = Echo(log)
        try:
            yield stream
        finally:
            await stream.aclose()
            self.note("closed")

    @exportstream
    @asynccontextmanager
    async def flood(self) -> AsyncIterator[ObjectStream[bytes]]:
        stream = Flood(self)
        try:
            yield stream  # type: ignore[misc]
        finally:
            await stream.aclose()

    @exportstream
    @asynccontextmanager
    async def refuse(self) -> AsyncIterator[ObjectStream[bytes]]:
        raise Custom("the port is gone")
        yield

    @exportstream
    @asynccontextmanager
    async def cut(self) -> AsyncIterator[ObjectStream[bytes]]:
        near, far = create_memory_stream()
        async with near, far:
            await near.send(b"before")
            await near.aclose()
            yield far

    @export
    def size(self, handle: dict[str, Any]) -> int:
        with self.resource_blocking(handle) as stream:
            return sum(len(chunk) for chunk in stream)

    @export
    def produce(self, handle: dict[str, Any], size: int) -> None:
        with self.resource_blocking(handle) as stream:
            stream.write(bytes(size))

    @export
    def ignore(self, handle: dict[str, Any]) -> str:
        return "ignored"
