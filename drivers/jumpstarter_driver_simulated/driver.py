"""A board that exists in this process only: power, serial console and a storage card behind a multiplexer.

It is there to learn and to test with, no hardware needed. Power on boots a card's image through firmware,
boot prompt and kernel to a login prompt; what is on the card decides what boots (image.py describes the
format). The board starts with a card that boots.

The serial line goes through a console server that keeps the output of the current boot while nobody listens,
so "power on, then connect and read until" finds what it waits for. (A bare UART would lose it.)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anyio import move_on_after
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.driver.images import image_chunks
from jumpstarter_driver_composite.driver import CompositeInterface
from jumpstarter_driver_opendal.driver import StorageMuxFlasherInterface
from jumpstarter_driver_power.driver import PowerInterface

from .board import Board
from .machine import Settings
from .storage import Card, Side

if TYPE_CHECKING:
    from jumpstarter_driver_power.common import PowerReading

__all__ = ["SimulatedBoard", "SimulatedPower", "SimulatedSerial", "SimulatedStorage"]

_SLICE = 1024


@dataclass(kw_only=True)
class SimulatedBoard(CompositeInterface, Driver):
    """A board with the children `power`, `serial` and `storage`.

    Args:
        speed: divides the times of the boot; 1 is about 5 s from power on to login, as on a quick real board.
        bootdelay: what the boot prompt counts down from; negative stays at the prompt.
        hostname: the board's name.
        password: root's; None asks for none.
        image: the card that the board comes with: `builtin`, `empty`, or the path of a file.
        serial_buffer: bytes of serial output kept while nobody reads.

    Raises:
        ConfigurationError: a value is out of its range, or the image cannot be read.
    """

    speed: float = 4.0
    bootdelay: int = 3
    hostname: str = "simboard"
    password: str | None = None
    image: str = "builtin"
    serial_buffer: int = 64 * 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.speed > 0:
            raise ConfigurationError(f"SimulatedBoard: speed is {self.speed}, expected a number above 0")
        if self.serial_buffer < 1:
            raise ConfigurationError(
                f"SimulatedBoard: serial_buffer is {self.serial_buffer}, expected 1 or more"
            )
        settings = Settings(
            speed=self.speed, bootdelay=self.bootdelay, hostname=self.hostname, password=self.password
        )
        board = Board(settings, keep=self.serial_buffer)
        self._board = board
        self.children["power"] = SimulatedPower(board=board)
        self.children["serial"] = SimulatedSerial(board=board)
        self.children["storage"] = SimulatedStorage(board=board, image=self.image)

    def reset(self) -> None:
        """Take the power away, forget the saved environment, put the card back that the board came with."""
        self._board.reset()
        super().reset()


@dataclass(kw_only=True)
class SimulatedPower(PowerInterface, Driver):
    """The supply of a simulated board."""

    board: Board = field(repr=False)

    @export
    def on(self) -> None:
        """Switch the supply on; nothing changes when it is on."""
        self.logger.info("power on")
        self.board.power(True)

    @export
    def off(self) -> None:
        """Switch the supply off."""
        self.logger.info("power off")
        self.board.power(False)

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        """Yield one measurement: volts and amperes by what the board is doing."""
        from jumpstarter_driver_power.common import PowerReading

        voltage, current = self.board.measure()
        yield PowerReading(voltage=round(voltage, 3), current=current)

    def close(self) -> None:
        """Switch the supply off."""
        self.board.power(False)
        super().close()


@dataclass(kw_only=True)
class SimulatedSerial(Driver):
    """The serial console of a simulated board. Several clients may be connected; each hears everything."""

    board: Board = field(repr=False)

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_pyserial.client.PySerialClient"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[ByteStream, None]:
        """The console's bytes, both ways."""
        stream = _SerialStream(self.board)
        try:
            yield stream
        finally:
            await stream.aclose()


class _SerialStream(ByteStream):
    """One connection to the console. It ends when it is closed; a UART knows no end of input."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._console = board.attach(self._wake)
        self._attached = True

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._changed.set)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        while True:
            self._changed.clear()
            data, wait = self._board.take(self._console, max_bytes)
            if data:
                return data
            with move_on_after(wait):
                await self._changed.wait()

    async def send(self, item: bytes) -> None:
        # The machine reads a byte at a time: one client's flood must not keep the others from the loop.
        for start in range(0, len(item), _SLICE):
            self._board.send(item[start : start + _SLICE])
            await checkpoint()

    async def send_eof(self) -> None:
        pass

    async def aclose(self) -> None:
        if self._attached:
            self._attached = False
            self._board.detach(self._console)


@dataclass(kw_only=True)
class SimulatedStorage(StorageMuxFlasherInterface, Driver):
    """The card of a simulated board, at the board's side, at the host's side or at none.

    Args:
        board: where the card goes.
        image: what is on it at the start: `builtin`, `empty`, or the path of a file.
    """

    board: Board = field(repr=False)
    image: str = "builtin"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._card = Card(self.image)
        self._plug(Side.DUT)

    @export
    def host(self) -> None:
        """Connect the card to the host; the board sees none."""
        self._plug(Side.HOST)

    @export
    def dut(self) -> None:
        """Connect the card to the board."""
        self._plug(Side.DUT)

    @export
    def off(self) -> None:
        """Connect the card to nothing."""
        self._plug(Side.OFF)

    @export
    def write(self, src: Any) -> None:
        """Replace what is on the card with the resource *src*.

        Raises:
            RuntimeError: the card is not at the host's side.
        """
        with self.resource_blocking(src) as stream:
            # Before the card is emptied: an image that is no good leaves it as it is.
            chunks = image_chunks(stream)
            with self._card.open_for_write() as file:
                for chunk in chunks:
                    file.write(chunk)

    @export
    def read(self, dst: Any) -> None:
        """Write what is on the card to the resource *dst*.

        Raises:
            RuntimeError: the card is not at the host's side.
        """
        with self._card.open_for_read() as file, self.resource_blocking(dst) as stream:
            while chunk := file.read(1 << 20):
                stream.write(chunk)

    def reset(self) -> None:
        """Put the card back that the board came with."""
        self._card.restore()
        self._plug(Side.DUT)
        super().reset()

    def close(self) -> None:
        """Throw the card away."""
        self._card.close()
        super().close()

    def _plug(self, side: Side) -> None:
        self.logger.info("storage: %s", side.value)
        self.board.insert_card(self._card.plug(side))
