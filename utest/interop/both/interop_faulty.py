"""An out-of-tree driver and its client, loaded unchanged by both implementations.

Both processes find it through PYTHONPATH. It uses the documented driver API only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.streams.stapled import StapledObjectStream
from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export, exportstream


class Faulty(Driver):
    """Methods that fail in every way that the protocol tells apart, values of every kind, and log lines."""

    @classmethod
    def client(cls) -> str:
        return "interop_faulty.FaultyClient"

    @export
    def echo(self, value: Any) -> Any:
        return value

    @export
    async def echo_async(self, value: Any) -> Any:
        return value

    @export
    def value_error(self) -> None:
        raise ValueError("the value is bad")

    @export
    def not_implemented(self) -> None:
        raise NotImplementedError("this board cannot do it")

    @export
    def runtime_error(self) -> None:
        raise RuntimeError("the device is broken")

    @export
    async def timeout_error(self) -> None:
        raise TimeoutError("the device is silent")

    def hidden(self) -> str:
        return "never exported"

    @export
    def numbers(self, count: int) -> Generator[int, None, None]:
        yield from range(int(count))

    @export
    async def numbers_async(self, count: int) -> AsyncGenerator[int, None]:
        for number in range(int(count)):
            yield number

    @export
    def breaks_after(self, count: int) -> Generator[int, None, None]:
        yield from range(int(count))
        raise ValueError("no more")

    @export
    def log(self, text: str) -> None:
        self.logger.info(text)

    @exportstream
    @asynccontextmanager
    async def pipe(self) -> AsyncGenerator[Any, None]:
        """What is sent comes back, in upper case."""
        to_driver, from_client = anyio.create_memory_object_stream[bytes](32)
        to_client, from_driver = anyio.create_memory_object_stream[bytes](32)

        async def answer() -> None:
            async with from_client, to_client:
                async for chunk in from_client:
                    await to_client.send(chunk.upper())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            async with StapledObjectStream(to_driver, from_driver) as stream:
                yield stream
            tasks.cancel_scope.cancel()


class FaultyClient(DriverClient):
    """Calls by name."""

    def do(self, method: str, *args: Any) -> Any:
        return self.call(method, *args)

    def stream_of(self, method: str, *args: Any) -> Generator[Any, None, None]:
        yield from self.streamingcall(method, *args)
