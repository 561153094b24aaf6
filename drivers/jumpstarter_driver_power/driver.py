"""Power drivers: what a power driver must offer, and two supplies that exist in memory only."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Generator
from dataclasses import dataclass, field
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


def _readings(is_on: bool) -> list[PowerReading]:
    """Two measurements: a supply that is on is seen rising from 0 V to 5 V; one that is off stays at 0 V."""
    from .common import PowerReading

    settled = PowerReading(voltage=5.0, current=2.0) if is_on else PowerReading(voltage=0.0, current=0.0)
    return [PowerReading(voltage=0.0, current=0.0), settled]


@dataclass(kw_only=True)
class _Supply(PowerInterface, Driver):
    """A supply in memory that remembers whether it is on."""

    _is_on: bool = field(default=False, init=False)

    @export
    def on(self) -> None:
        """Switch the supply on."""
        self.logger.info("power on")
        self._is_on = True

    @export
    def off(self) -> None:
        """Switch the supply off."""
        self.logger.info("power off")
        self._is_on = False


@dataclass(kw_only=True)
class MockPower(_Supply):
    """A supply in memory: remembers whether it is on, and measures 5 V, 2 A when it is."""

    @export
    async def read(self) -> AsyncGenerator[PowerReading, None]:
        """Yield two measurements."""
        for reading in _readings(self._is_on):
            yield reading


@dataclass(kw_only=True)
class SyncMockPower(_Supply):
    """`MockPower` with a plain generator for its measurements."""

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        """Yield two measurements."""
        yield from _readings(self._is_on)
