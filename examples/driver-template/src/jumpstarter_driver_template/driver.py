"""The drivers: they run on the exporter, next to the device."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from anyio import create_memory_object_stream
from anyio.abc import ObjectStream
from anyio.streams.stapled import StapledObjectStream
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter_driver_power.driver import PowerInterface, PowerReading


@dataclass(kw_only=True)
class ExamplePower(PowerInterface, Driver):
    """A standard driver: it implements an interface whose client is there already.

    `tool` is the program that switches the supply, run with the argument `on` or `off`; `echo` switches none.
    """

    tool: str = "echo"
    _is_on: bool = field(default=False, init=False)

    @export
    def on(self) -> None:
        """Switch the supply on."""
        self._run("on")
        self._is_on = True

    @export
    def off(self) -> None:
        """Switch the supply off."""
        self._run("off")
        self._is_on = False

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        """Yield one measurement."""
        yield (
            PowerReading(voltage=5.0, current=1.5) if self._is_on else PowerReading(voltage=0.0, current=0.0)
        )

    def _run(self, argument: str) -> None:
        # A tool that fails raises CalledProcessError; the client gets it as DriverError.
        done = subprocess.run([self.tool, argument], capture_output=True, text=True, check=True, timeout=30)
        self.logger.info("%s says: %s", self.tool, done.stdout.strip())


@dataclass(kw_only=True)
class ExampleCustom(Driver):
    """A custom driver: methods, configuration and client of its own.

    The fields are the keys of `config:` in the exporter's file. `greeting` begins every greeting; `start` is
    the first number that `count` gives, 0 or more.
    """

    greeting: str = "Hello"
    start: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start < 0:
            raise ConfigurationError(f"ExampleCustom: start is {self.start}, expected 0 or more")

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_template.client.ExampleCustomClient"

    @export
    def greet(self, name: str) -> str:
        """A call: arguments and result are simple values."""
        return f"{self.greeting}, {name}!"

    @export
    async def add(self, numbers: list[float]) -> float:
        """Calls may be coroutines too."""
        return sum(numbers)

    @export
    def count(self, items: int) -> Generator[int, None, None]:
        """A generator: the client gets each item as it is made."""
        yield from range(self.start, self.start + items)

    @exportstream
    @asynccontextmanager
    async def echo(self) -> AsyncGenerator[ObjectStream[bytes], None]:
        """A stream of bytes, both ways. This one sends back what it gets; yours connects to a device."""
        sender, receiver = create_memory_object_stream[bytes](max_buffer_size=16)
        async with StapledObjectStream(sender, receiver) as stream:
            yield stream
