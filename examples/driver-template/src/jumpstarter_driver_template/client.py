"""The custom driver's client: it runs where the tests run, and imports nothing that only a device needs."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group


@dataclass(kw_only=True)
class ExampleCustomClient(DriverClient):
    """Talks to `ExampleCustom`. Its methods are Robot keywords too: `Custom Greet`, `Custom Add`, ..."""

    def greet(self, name: str) -> str:
        """Greet somebody."""
        return str(self.call("greet", name))

    def add(self, numbers: Sequence[float]) -> float:
        """Add numbers on the exporter."""
        return float(self.call("add", list(numbers)))

    def count(self, items: int) -> Generator[int, None, None]:
        """Yield so many numbers as the exporter makes them."""
        yield from self.streamingcall("count", items)

    def echo(self, text: str) -> str:
        """Send *text* through the driver's stream, and return what comes back."""
        data, received = text.encode(), b""
        with self.stream("echo") as stream:
            stream.send(data)
            while len(received) < len(data):
                received += stream.receive()
        return received.decode()

    def cli(self) -> click.Group:
        """The `j` commands."""

        @driver_click_group(self)
        def base() -> None:
            """Example of a custom driver"""

        @base.command()
        @click.argument("name")
        def greet(name: str) -> None:
            """Greet NAME"""
            click.echo(self.greet(name))

        @base.command()
        @click.argument("numbers", type=float, nargs=-1)
        def add(numbers: tuple[float, ...]) -> None:
            """Add NUMBERS"""
            click.echo(f"{self.add(numbers):g}")

        @base.command()
        @click.argument("items", type=click.IntRange(min=0))
        def count(items: int) -> None:
            """Print ITEMS numbers"""
            for number in self.count(items):
                click.echo(number)

        @base.command()
        @click.argument("text")
        def echo(text: str) -> None:
            """Send TEXT through the driver's stream"""
            click.echo(self.echo(text))

        return base
