"""A driver whose `j` commands move data in every way that a client has: in the main thread, in loops there, and on the portal."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Generator
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import anyio
import click
from anyio.abc import ObjectStream
from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export


@dataclass(kw_only=True)
class Moving(Driver):
    """Takes and gives data without end."""

    over: Event = field(default_factory=Event, init=False)

    @classmethod
    def client(cls) -> str:
        return "moving.MovingClient"

    @export
    def echo(self, text: str) -> str:
        return text

    @export
    def wait(self) -> None:
        self.over.wait(60)

    @export
    def count(self) -> Generator[int]:
        while not self.over.is_set():
            yield 1

    @export
    def read(self, handle: Any) -> None:
        with self.resource_blocking(handle) as chunks:
            for _ in chunks:
                pass

    def close(self) -> None:
        self.over.set()


class Endless(ObjectStream[bytes]):
    """Data for a driver, as long as it reads."""

    async def receive(self) -> bytes:
        await asyncio.sleep(0.001)
        return b"x" * 1000

    async def send(self, item: bytes) -> None:
        raise NotImplementedError

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        await asyncio.sleep(0)


@dataclass(kw_only=True)
class MovingClient(DriverClient):
    """See the module's text."""

    async def lend(self) -> None:
        async with self.resource_async(Endless()) as handle:
            await self.call_async("read", handle)

    async def call_for_ever(self) -> None:
        while True:
            await self.call_async("echo", "text")

    async def take_items(self) -> None:
        async for _ in self.streamingcall_async("count"):
            pass

    async def follow_logs(self) -> None:
        async with self.log_stream_async():
            await self.call_for_ever()

    async def all_at_once(self) -> None:
        async with anyio.create_task_group() as tasks:
            for each in (self.lend, self.call_for_ever, self.take_items, self.follow_logs):
                tasks.start_soon(each)

    async def block_the_loop(self) -> None:
        self.call("wait")

    def calls(self) -> None:
        while True:
            self.call("echo", "text")

    def items(self) -> None:
        for _ in self.streamingcall("count"):
            pass

    def upload(self) -> None:
        with self.sending(iter(lambda: b"x" * 1000, None)) as handle:
            self.call("read", handle)

    def download(self) -> None:
        with self.receiving(io.BytesIO()):
            self.call("wait")

    def cli(self) -> click.Group:
        group = click.Group("moving")
        for each in (self.calls, self.items, self.upload, self.download):
            group.command(each.__name__)(_told(each))
        for each in (
            self.lend, self.call_for_ever, self.take_items, self.follow_logs, self.all_at_once, self.block_the_loop,
        ):  # fmt: skip
            name = each.__name__.replace("_", "-")
            group.command(f"loop-{name}")(_told(lambda each=each: anyio.run(each)))
            if each != self.block_the_loop:
                group.command(f"portal-{name}")(_told(lambda each=each: self.portal.call(each)))
        return group


def _told(work: Any) -> Any:
    def command() -> None:
        click.echo("moving")
        work()

    return command
