"""Drivers that misbehave, for exporters in processes of their own; and the clients that their reports name."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from anyio import create_memory_object_stream
from anyio.streams.stapled import StapledObjectStream
from jumpstarter.client import DriverClient
from jumpstarter.common import exceptions
from jumpstarter.driver import Driver, export, exportstream

TEXTS = {
    "plain": "the relay is stuck",
    "lines": "first line\nsecond line\r\n\tthird",
    "unicode": "Gerät läuft nicht: ⚡ 電源 \U0001f50c",
    "surrogate": "bad name: \udcff",
    "empty": "",
    "huge": "x" * 1_000_000,
    "nul": "a\x00b\x1b[31mred",
}


class MuteError(Exception):
    """Has no text that could be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@dataclass(kw_only=True)
class Faulty(Driver):
    """Fails on demand. `held` tells which of its handles are in use: a device has each of them once."""

    ready: str = ""
    _held: set[str] = field(default_factory=set, init=False)
    _waiting: int = field(default=0, init=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False)

    @classmethod
    def client(cls) -> str:
        return "faulty.FaultyClient"

    @contextmanager
    def _holding(self, name: str) -> Generator[None]:
        if name in self._held:
            raise RuntimeError(f"{name} is in use by another client")
        self._held.add(name)
        try:
            yield
        finally:
            self._held.discard(name)

    @export
    def held(self) -> list[str]:
        return sorted(self._held)

    @export
    def ping(self, value: Any = "pong") -> Any:
        return value

    # --- raises ---

    @export
    def fail(self, kind: str, text: str) -> None:
        raise _error(kind, TEXTS[text])

    @export
    async def fail_async(self, kind: str, text: str) -> None:
        raise _error(kind, TEXTS[text])

    @export
    def fail_items(self, kind: str, text: str) -> Generator[int]:
        yield 1
        raise _error(kind, TEXTS[text])

    @export
    async def fail_items_async(self, kind: str, text: str) -> AsyncGenerator[int]:
        yield 1
        raise _error(kind, TEXTS[text])

    @exportstream
    @asynccontextmanager
    async def fail_opening(self) -> AsyncGenerator[Any]:
        raise OSError(5, "Input/output error", "/dev/ttyUSB0")
        yield

    @exportstream
    @asynccontextmanager
    async def fail_streaming(self) -> AsyncGenerator[Any]:
        yield _Raising()

    @exportstream
    @asynccontextmanager
    async def fail_closing(self) -> AsyncGenerator[Any]:
        try:
            async with _loopback() as stream:
                yield stream
        finally:
            raise RuntimeError("cannot close")

    # --- blocks ---

    @export
    def block(self) -> None:
        with self._holding("block"):
            threading.Event().wait()

    @export
    async def block_async(self) -> None:
        with self._holding("block_async"):
            await asyncio.Event().wait()

    @export
    async def block_loop(self, seconds: float) -> None:
        with self._holding("block_loop"):
            time.sleep(seconds)  # noqa: ASYNC251 - a driver that does it wrong

    @export
    def block_too(self) -> None:
        """Block, however many others do."""
        with self._lock:
            self._waiting += 1
        threading.Event().wait()

    @export
    def waiting(self) -> int:
        return self._waiting

    @export
    def ticks(self) -> Generator[int]:
        with self._holding("ticks"):
            number = 0
            while True:
                yield number
                number += 1
                time.sleep(0.01)

    @export
    async def ticks_async(self) -> AsyncGenerator[int]:
        with self._holding("ticks_async"):
            number = 0
            while True:
                yield number
                number += 1
                await asyncio.sleep(0.01)

    @exportstream
    @asynccontextmanager
    async def port(self) -> AsyncGenerator[Any]:
        """Gives back what it gets; only one client has it at a time."""
        with self._holding("port"):
            async with _loopback() as stream:
                yield stream

    @exportstream
    @asynccontextmanager
    async def deaf(self) -> AsyncGenerator[Any]:
        """Never takes what is sent, never sends."""
        with self._holding("deaf"):
            yield _Deaf()

    # --- floods ---

    @exportstream
    @asynccontextmanager
    async def silent(self) -> AsyncGenerator[Any]:
        """A stream that says nothing; any number of clients may have one."""
        ours, theirs = create_memory_object_stream[bytes]()
        with ours, theirs:
            yield StapledObjectStream(ours, theirs)

    @export
    def flood_items(self, size: int) -> Generator[str]:
        while True:
            yield "x" * size

    @export
    async def flood_items_async(self, size: int) -> AsyncGenerator[str]:
        while True:
            yield "x" * size
            await asyncio.sleep(0)

    @exportstream
    @asynccontextmanager
    async def flood(self) -> AsyncGenerator[Any]:
        yield _Flood()

    @export
    def flood_log(self, lines: int) -> int:
        for number in range(lines):
            self.logger.info("line %d %s", number, "x" * 200)
        return lines

    # --- values ---

    @export
    def big(self, size: int) -> str:
        return "x" * size

    @export
    def odd(self, kind: str) -> Any:
        loop: list[Any] = []
        loop.append(loop)
        deep: list[Any] = []
        for _ in range(5000):
            deep = [deep]
        odd: dict[str, Any] = {
            "object": object(),
            "error": ValueError("x"),
            "bytes": b"\xff",
            "surrogate": "\udcff",
            "loop": loop,
            "deep": deep,
            "function": _error,
            "huge int": 10**400,
            "mute": MuteError(),
            "key": {b"\xff": 1},
        }
        return odd[kind]

    # --- resources ---

    @export
    def take(self, handle: Any, path: str = "") -> int:
        """Write a resource to the new file *path*, which is removed when that fails; without one it is only counted.

        A file that exists is refused: nothing but what this call made is ever removed.
        """
        with ExitStack() as stack:
            stack.enter_context(self._holding("take"))
            stream = stack.enter_context(self.resource_blocking(handle))
            write = stack.enter_context(_new_file(Path(path))) if path else len
            return sum(write(chunk) for chunk in stream)

    @export
    async def take_async(self, handle: Any) -> int:
        size = 0
        with self._holding("take_async"):
            async with self.resource(handle) as stream:
                async for chunk in stream:
                    size += len(chunk)
        return size

    @export
    def give(self, handle: Any, size: int) -> None:
        with self._holding("give"), self.resource_blocking(handle) as stream:
            for _ in range(size // 65536):
                stream.write(b"x" * 65536)

    @export
    async def give_async(self, handle: Any, size: int) -> None:
        with self._holding("give_async"):
            async with self.resource(handle) as stream:
                for _ in range(size // 65536):
                    await stream.send(b"x" * 65536)

    @export
    def ignore(self, handle: Any) -> str:
        return "ignored"

    @export
    def handles(self) -> int:
        return len(self.resources)

    @export
    def leak_threads(self, count: int) -> int:
        for _ in range(count):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        return threading.active_count()


def _error(kind: str, text: str) -> BaseException:
    if kind == "MuteError":
        return MuteError()
    if kind == "UnicodeDecodeError":
        return UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    if kind == "CancelledError":
        return asyncio.CancelledError(text)
    if kind == "ExceptionGroup":
        return ExceptionGroup("several", [OSError(text), ValueError(text)])
    own: Any = getattr(exceptions, kind, None)
    if own is not None:
        return own(text, "a.B") if kind == "MissingDriverError" else own(text)  # type: ignore[no-any-return]
    import builtins

    return getattr(builtins, kind)(text)  # type: ignore[no-any-return]


@contextmanager
def _new_file(path: Path) -> Generator[Callable[[bytes], int]]:
    with path.open("xb", buffering=0) as file:
        try:
            yield lambda chunk: int(file.write(chunk) or 0)
        except BaseException:
            path.unlink()
            raise


def _loopback() -> Any:
    from anyio import create_memory_object_stream

    send, receive = create_memory_object_stream[bytes](4)
    return StapledObjectStream(send, receive)


class _Raising:
    async def send(self, item: bytes) -> None:
        raise OSError(5, "Input/output error", "/dev/ttyUSB0")

    async def receive(self) -> bytes:
        raise OSError(5, "Input/output error", "/dev/ttyUSB0")


class _Deaf:
    async def send(self, item: bytes) -> None:
        await asyncio.Event().wait()

    async def receive(self) -> bytes:
        await asyncio.Event().wait()
        return b""


class _Flood:
    async def send(self, item: bytes) -> None:
        """Nothing is kept."""

    async def receive(self) -> bytes:
        return b"x" * 65536


@dataclass(kw_only=True)
class Closing(Driver):
    """Writes to the file `log` when it is closed, then raises, if `error` says so."""

    log: str
    error: str = ""

    @classmethod
    def client(cls) -> str:
        return "faulty.FaultyClient"

    @export
    def ping(self) -> str:
        return "pong"

    def close(self) -> None:
        with open(self.log, "a") as file:
            file.write(f"closed {os.getpid()}\n")
        super().close()
        if self.error:
            raise RuntimeError(self.error)


@dataclass(kw_only=True)
class BadInit(Closing):
    """Cannot be made."""

    def __post_init__(self) -> None:
        super().__post_init__()
        raise RuntimeError("no such adapter:\nis it plugged in?")


@dataclass(kw_only=True)
class SlowInit(Closing):
    """Never gets ready."""

    def __post_init__(self) -> None:
        super().__post_init__()
        sys.stderr.write("preparing\n")
        threading.Event().wait()


@dataclass(kw_only=True)
class SlowClose(Closing):
    """Never closes."""

    def close(self) -> None:
        super().close()
        sys.stderr.write("closing\n")
        threading.Event().wait()


@dataclass(kw_only=True)
class BadReset(Closing):
    """Cannot be reset."""

    def reset(self) -> None:
        raise RuntimeError("the board does not react")


@dataclass(kw_only=True)
class FaultyClient(DriverClient):
    """Some of the driver's methods for Robot, and all that `call` takes as commands."""

    def held(self) -> list[str]:
        """What clients have in use."""
        return self.call("held")  # type: ignore[no-any-return]

    def fail(self, kind: str, text: str) -> None:
        """Raise an error of class *kind*."""
        self.call("fail", kind, text)

    def block(self) -> None:
        """Never return."""
        self.call("block")

    def block_in_coroutine(self) -> None:
        """Never return, in a coroutine."""
        self.call("block_async")

    def ticks(self) -> Generator[int]:
        """Count without end."""
        yield from self.streamingcall("ticks")

    def cli(self) -> click.Group:
        @click.group()
        def base() -> None:
            """Fails on demand"""

        @base.command()
        @click.argument("method")
        @click.argument("args", nargs=-1)
        def call(method: str, args: tuple[str, ...]) -> None:
            click.echo(f"calling {method}", err=True)
            click.echo(self.call(method, *args))

        @base.command()
        @click.argument("method")
        def items(method: str) -> None:
            for item in self.streamingcall(method):
                click.echo(item, err=True)

        @base.command()
        @click.argument("method")
        def read(method: str) -> None:
            with self.stream(method) as stream:
                stream.send(b"opened")
                while True:
                    click.echo(stream.receive(), err=True)

        return base


logging.getLogger("driver.Faulty").addHandler(logging.NullHandler())
