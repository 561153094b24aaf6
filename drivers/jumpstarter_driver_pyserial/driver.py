"""Serial ports: devices, ``loop://``, ``socket://``, ``rfc2217://`` and pyserial's other
URLs.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import AnyByteStream
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.streams.bridge import PipeStream
from jumpstarter.streams.pipe import Pipe
from jumpstarter_driver_network.sockets import SocketByteStream, connect_inet

from .ports import check_device, has_descriptor, open_port, socket_address
from .settings import LineSettings, apply
from .streams import AsyncSerial, DescriptorStream, ThrottledStream, threaded_stream

if TYPE_CHECKING:
    from serial import SerialBase

__all__ = ["AsyncSerial", "PySerial", "ThrottledStream", "serial_for_url"]

CONNECT_TIMEOUT = 10.0
"""Seconds that reaching the server of a ``socket://`` port may take."""

MAX_BREAK = 5.0
"""The longest break in seconds: the port is kept from everybody else meanwhile."""

RELEASE_TIMEOUT = 3.0
"""Seconds that a new stream waits for the one before it to let go of the port."""


def serial_for_url(url: str, **options: Any) -> SerialBase:
    """pyserial's function of this name; tests of drivers that have a `PySerial` put a port of their own in its place."""
    import serial

    return serial.serial_for_url(url, **options)


@dataclass(kw_only=True)
class PySerial(Driver):
    """A serial port. One stream at a time has it; a second one is refused, as two readers would each get
    half.

    Args:
        url: device or URL in pyserial's format, https://pyserial.readthedocs.io/en/latest/url_handlers.html
        baudrate: bits per second
        bytesize: data bits of a character: 5, 6, 7 or 8
        parity: N, E, O, M or S, or the word: none, even, odd, mark, space
        stopbits: 1, 1.5 or 2
        rtscts: flow control by the lines RTS and CTS
        xonxoff: flow control by the characters XON and XOFF
        dsrdtr: flow control by the lines DSR and DTR
        check_existing: whether a device has to exist when the exporter starts; default yes. Say no for ports
            that come and go, such as the DUT's own USB port.
        check_present: another name of *check_existing*
        cps: characters per second to send at most, for receivers that lose bytes; default no limit
        disable_hupcl: keep DTR when the port is closed (clears the HUPCL flag), for boards that DTR resets

    Raises:
        ConfigurationError: the device does not exist, or a value is out of range
    """

    url: str
    baudrate: int = 115200
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1
    rtscts: bool = False
    xonxoff: bool = False
    dsrdtr: bool = False
    check_existing: bool | None = None
    check_present: bool | None = None
    cps: float | None = None
    disable_hupcl: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._lines: dict[str, bool] = {}
        self._port: SerialBase | None = None
        self._port_lock = threading.Lock()
        self._closing = threading.Event()
        self._free = anyio.Semaphore(1)
        self._abort: Callable[[], None] | None = None
        self._settle_check()
        self._settings = self._configured = self._validate()

    def _settle_check(self) -> None:
        named = {self.check_existing, self.check_present} - {None}
        if len(named) == 2:
            raise ConfigurationError(
                "PySerial: check_existing and check_present mean the same; give only one of them"
            )
        self.check_existing = self.check_present = named.pop() if named else True

    def _validate(self) -> LineSettings:
        names = LineSettings().as_dict()
        try:
            settings = LineSettings().changed({name: getattr(self, name) for name in names})
        except ValueError as error:
            raise ConfigurationError(f"PySerial: {error}") from None
        if self.cps is not None and not self.cps > 0:
            raise ConfigurationError(
                f"PySerial: cps must be more than 0 characters per second, found {self.cps!r}"
            )
        if self.url.startswith("socket://"):
            socket_address(self.url)
        if self.check_existing:
            check_device(self.url)
        return settings

    @classmethod
    def client(cls) -> str:
        """The import path of the client class."""
        return "jumpstarter_driver_pyserial.client.PySerialClient"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AnyByteStream]:
        """Open the port and give its stream.

        Raises:
            ConnectionError: another stream has the port, or it cannot be opened
        """
        await self._acquire()
        try:
            async with self._open_stream() as stream:
                self._abort = _closer(stream)
                yield stream
        finally:
            self._abort = None
            self._free.release()

    async def _acquire(self) -> None:
        try:
            # The exporter may still be closing the stream before this one.
            with anyio.fail_after(RELEASE_TIMEOUT):
                await self._free.acquire()
        except TimeoutError:
            raise ConnectionError(
                f"serial port {self.url} is busy: another stream of this exporter has it open; "
                "close that console or session first"
            ) from None

    @asynccontextmanager
    async def _open_stream(self) -> AsyncIterator[AnyByteStream]:
        if self.url.startswith("loop://"):
            pipe = Pipe()
            async with PipeStream(pipe, pipe) as loop:
                yield ThrottledStream(loop, self.cps)
        elif self.url.startswith("socket://"):
            host, port = socket_address(self.url)
            # Not pyserial's socket://: that throws away what the server says first.
            sock = await connect_inet("socket", host, port, socket.SOCK_STREAM, CONNECT_TIMEOUT)
            async with SocketByteStream(sock) as stream:
                yield AsyncSerial(stream, stream, self.cps)
        else:
            async with self._open_device() as device:
                yield device

    @asynccontextmanager
    async def _open_device(self) -> AsyncIterator[AnyByteStream]:
        port = await anyio.to_thread.run_sync(self._open)
        try:
            if has_descriptor(port):
                async with DescriptorStream(port, self.url) as stream:
                    yield AsyncSerial(stream, stream, self.cps)
            else:
                async with threaded_stream(port, self.url) as threaded:
                    yield ThrottledStream(threaded, self.cps)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._close)

    def _open(self) -> SerialBase:
        with self._port_lock:
            self._port = self._open_port()
            return self._port

    def _open_port(self) -> SerialBase:
        return open_port(serial_for_url, self.url, self._settings, self._lines, self.disable_hupcl)

    def _close(self) -> None:
        with self._port_lock:
            port, self._port = self._port, None
        if port is not None:
            port.close()

    @export
    def set_dtr(self, value: bool) -> None:
        """Switch the DTR line on or off: now, and whenever the port is opened from now on.

        Without a stream the port is opened for the moment; a closing port drops DTR unless `disable_hupcl` is
        set.

        Raises:
            NotImplementedError: the port has no such line
            ConnectionError: the port cannot be opened
        """
        self._set_line("dtr", value)

    @export
    def set_rts(self, value: bool) -> None:
        """Switch the RTS line on or off; otherwise like `set_dtr`."""
        self._set_line("rts", value)

    def _set_line(self, line: str, value: bool) -> None:
        if self.url.startswith("socket://"):
            raise NotImplementedError(f"serial port {self.url} has no {line.upper()} line")
        self._lines[line] = value
        with self._borrowed_port() as port:
            try:
                setattr(port, line, value)
            except OSError:
                del self._lines[line]
                raise NotImplementedError(f"serial port {self.url} has no {line.upper()} line") from None

    @contextmanager
    def _borrowed_port(self) -> Iterator[Any]:
        """The port that a stream has open; without a stream, one that is opened for the moment."""
        with self._port_lock:
            port = self._port or self._open_port()
            try:
                yield port
            finally:
                if port is not self._port:
                    port.close()

    @export
    def get_settings(self) -> dict[str, Any]:
        """Rate, form of a character and flow control by name, as `configure` takes them."""
        return self._settings.as_dict()

    @export
    def configure(self, values: dict[str, Any]) -> dict[str, Any]:
        """Change settings of the line: at once where a stream is open, and whenever the port is opened until the lease ends.

        *values* are settings by name: baudrate, bytesize, parity, stopbits, rtscts, xonxoff, dsrdtr. Returns all settings.

        Raises:
            ValueError: there is no such setting or value, or the port does not take it; nothing is changed then
            NotImplementedError: the port is a raw TCP connection
        """
        self._require_line("settings")
        settings = self._settings.changed(values)
        with self._port_lock:
            if self._port is not None:
                try:
                    apply(self._port, settings, self._settings)
                except (OSError, ValueError) as error:
                    told = ", ".join(f"{name}={value}" for name, value in values.items())
                    raise ValueError(f"serial port {self.url} does not take {told}: {error}") from None
            self._settings = settings
        return settings.as_dict()

    @export
    def send_break(self, duration: float = 0.25) -> None:
        """Hold the line in the break condition for *duration* seconds, at most 5.

        Raises:
            ValueError: the duration is out of range
            NotImplementedError: the port cannot send one
            ConnectionError: the port cannot be opened
        """
        if not 0 < duration <= MAX_BREAK:
            raise ValueError(f"a break lasts more than 0 and at most {MAX_BREAK:g} s, found {duration!r}")
        self._require_line("break condition")
        with self._borrowed_port() as port:
            try:
                port.break_condition = True
                try:
                    self._closing.wait(duration)
                finally:
                    port.break_condition = False
            except OSError as error:
                raise NotImplementedError(f"serial port {self.url} sends no break: {error}") from None

    def _require_line(self, what: str) -> None:
        if self.url.startswith("socket://"):
            raise NotImplementedError(
                f"serial port {self.url} has no {what}: it is a raw TCP connection; rfc2217:// has"
            )

    def reset(self) -> None:
        """Forget the states of DTR and RTS and the settings that a user has set."""
        self._lines.clear()
        self._settings = self._configured
        super().reset()

    @export
    def close(self) -> None:
        """Let go of the port: an open stream and a break end."""
        self._closing.set()
        abort = self._abort
        if abort is not None:
            abort()
        super().close()


def _closer(stream: Any) -> Callable[[], None]:
    """A function for other threads that closes *stream* on the event loop that is running now."""
    import asyncio

    loop = asyncio.get_running_loop()

    def close() -> None:
        if not loop.is_closed():
            asyncio.run_coroutine_threadsafe(stream.aclose(), loop)

    return close
