"""Clients of power drivers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverMethodNotImplemented
from jumpstarter.client.decorators import driver_click_group

if TYPE_CHECKING:
    from .common import PowerReading

__all__ = ["PowerClient", "VirtualPowerClient"]

_DONE = "ok"


@dataclass(kw_only=True)
class PowerClient(DriverClient):
    """Switches and measures the supply of a DUT."""

    def on(self) -> None:
        """Switch the supply on."""
        self.call("on")

    def off(self) -> None:
        """Switch the supply off."""
        self.call("off")

    def cycle(self, wait: float = 2) -> None:
        """Switch off, wait *wait* seconds, switch on."""
        if not 0 <= wait <= threading.TIMEOUT_MAX:  # the supply is not left off for a wait that cannot be
            raise ValueError(f"cycle: wait is {wait} s, expected 0 or more, and an end")
        self.logger.info("Power cycling with %s seconds wait time...", wait)
        self.off()
        time.sleep(wait)
        self.on()

    def read(self) -> Generator[PowerReading, None, None]:
        """Yield the supply's measurements; voltage in volts, current in amperes."""
        from .common import PowerReading

        for value in self.streamingcall("read"):
            yield PowerReading.model_validate(value)

    def rescue(self) -> None:
        """Bring the DUT into its rescue mode.

        Raises `DriverMethodNotImplemented` when the driver has none.
        """
        self.call("rescue")

    def cli(self) -> click.Group:
        """The ``j`` commands: on, off, cycle, read, rescue."""

        @driver_click_group(self)
        def base() -> None:
            """Generic power"""

        _add_switching(base, self)
        _add_reading(base, self)

        @base.command()
        def off() -> None:
            """Power off"""
            self.off()
            click.echo(_DONE)

        return base


@dataclass(kw_only=True)
class VirtualPowerClient(PowerClient):
    """Switches a virtual DUT, and removes it on request."""

    def off(self, destroy: bool = False) -> None:
        """Stop the instance; with *destroy* remove it and its storage too."""
        self.call("off", destroy)

    def cli(self) -> click.Group:
        """The commands of `PowerClient`, with ``off --destroy``."""
        base = super().cli()

        @base.command()
        @click.option("--destroy", is_flag=True, help="Remove the instance after it has stopped.")
        def off(destroy: bool) -> None:
            """Power off"""
            self.off(destroy)
            click.echo(_DONE)

        return base


def _add_switching(base: click.Group, client: PowerClient) -> None:
    @base.command()
    def on() -> None:
        """Power on"""
        client.on()
        click.echo(_DONE)

    @base.command()
    @click.option(
        "-w",
        "--wait",
        type=click.FloatRange(min=0),
        default=2,
        show_default=True,
        help="Seconds between off and on.",
    )
    def cycle(wait: float) -> None:
        """Power cycle"""
        # A whole number is shown as one in the log line.
        client.cycle(int(wait) if wait.is_integer() else wait)
        click.echo(_DONE)

    @base.command()
    def rescue() -> None:
        """Bring the DUT into its rescue mode"""
        try:
            client.rescue()
        except DriverMethodNotImplemented as error:
            raise click.ClickException("this power driver has no rescue mode") from error
        click.echo(_DONE)


def _add_reading(base: click.Group, client: PowerClient) -> None:
    @base.command()
    @click.option(
        "-n",
        "--samples",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Number of rounds of measurements.",
    )
    @click.option(
        "-i",
        "--interval",
        type=click.FloatRange(min=0),
        default=1.0,
        show_default=True,
        help="Seconds between two rounds.",
    )
    def read(samples: int, interval: float) -> None:
        """Read voltage, current and apparent power"""
        for done in itertools.count(1):
            for reading in client.read():
                click.echo(str(reading))
            if done == samples:
                return
            time.sleep(interval)
