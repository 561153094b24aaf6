"""Power drivers: what a power driver must offer, and two supplies that exist in memory only."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jumpstarter.driver import Driver, export

if TYPE_CHECKING:
    from .common import PowerReading

__all__ = ["MockPower", "PowerInterface", "PowerReading", "SyncMockPower", "VirtualPowerInterface"]


class PowerInterface(metaclass=ABCMeta):
    """A supply that can be switched and measured. Methods may be plain or ``async``; export each of them."""

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_power.client.PowerClient"

    @abstractmethod
    def on(self) -> Awaitable[None] | None:
        """Switch the supply on; return when it is on."""

    @abstractmethod
    def off(self) -> Awaitable[None] | None:
        """Switch the supply off; return when it is off."""

    @abstractmethod
    def read(self) -> AsyncGenerator[PowerReading, None] | Generator[PowerReading, None, None]:
        """Yield measurements, oldest first."""


class VirtualPowerInterface(metaclass=ABCMeta):
    """The supply of a virtual DUT, whose instance can be destroyed as it is switched off."""

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_power.client.VirtualPowerClient"

    @abstractmethod
    def on(self) -> Awaitable[None] | None:
        """Create the instance if there is none, and start it."""

    @abstractmethod
    def off(self, destroy: bool = False) -> Awaitable[None] | None:
        """Stop the instance; with *destroy* remove it and its storage too."""

    @abstractmethod
    def read(self) -> AsyncGenerator[PowerReading, None] | Generator[PowerReading, None, None]:
        """Yield measurements, oldest first."""


def __getattr__(name: str) -> Any:
    """`PowerReading` is imported when it is used: its library takes memory that an idle exporter can do without."""
    if name != "PowerReading":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .common import PowerReading

    return PowerReading


def _readings() -> list[PowerReading]:
    """Two measurements of a supply that rises, whether it was switched on or not: tests of other drivers read them."""
    from .common import PowerReading

    return [PowerReading(voltage=0.0, current=0.0), PowerReading(voltage=5.0, current=2.0)]


@dataclass(kw_only=True)
class MockPower(PowerInterface, Driver):
    """A supply in memory, whose methods are coroutines; it measures 0 V, 0 A, then 5 V, 2 A."""

    @export
    async def on(self) -> None:
        """Switch the supply on."""
        self.logger.info("power on")

    @export
    async def off(self) -> None:
        """Switch the supply off."""
        self.logger.info("power off")

    @export
    async def read(self) -> AsyncGenerator[PowerReading, None]:
        """Yield two measurements."""
        for reading in _readings():
            yield reading


@dataclass(kw_only=True)
class SyncMockPower(PowerInterface, Driver):
    """`MockPower` with plain functions."""

    @export
    def on(self) -> None:
        """Switch the supply on."""
        self.logger.info("power on")

    @export
    def off(self) -> None:
        """Switch the supply off."""
        self.logger.info("power off")

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        """Yield two measurements."""
        yield from _readings()
