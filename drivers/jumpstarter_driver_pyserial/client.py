"""The client of a serial port."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group

from .console import Console
from .reader import SerialReader, SerialReadError, SerialReadTimeout

if TYPE_CHECKING:
    from jumpstarter.streams.blocking import BlockingStream
    from jumpstarter_driver_network.adapters import PexpectAdapter
    from pexpect.fdpexpect import fdspawn

__all__ = ["Console", "PySerialClient", "SerialReadError", "SerialReadTimeout"]


@dataclass(kw_only=True)
class PySerialClient(DriverClient):
    """A serial port: by pexpect, as a stream, or with `read_until`, `read` and `write`.

    One stream at a time has the port. `read_until`, `read` and `write` share one that is opened at the first
    of them and kept, so that nothing is lost between calls; the other ways in close it first. What it had
    read stays readable.
    """

    _reader: SerialReader | None = field(init=False, default=None, repr=False)
    _opened: ExitStack = field(init=False, default_factory=ExitStack, repr=False)

    def open(self) -> fdspawn[bytes]:
        """Open a pexpect session, https://pexpect.readthedocs.io/en/stable/api/pexpect.html; `close` ends it.

        An earlier session or stream of this client is closed first.
        """
        self._start_over()
        return self._opened.enter_context(self.pexpect())

    def pexpect(self) -> PexpectAdapter:
        """A pexpect session as a context manager: ``with serial.pexpect() as session:``."""
        from jumpstarter_driver_network.adapters import PexpectAdapter

        return PexpectAdapter(client=self)

    @contextmanager
    def stream(self, method: str = "connect") -> Iterator[BlockingStream]:
        """A blocking stream as a context manager; *method* is the driver's stream method."""
        self._detach()
        with super().stream(method) as stream:
            yield stream

    def open_stream(self, method: str = "connect") -> BlockingStream:
        """Open a blocking stream; `close` ends it. An earlier one of this client is closed first."""
        self._start_over()
        return self._opened.enter_context(self.stream(method))

    def close(self) -> None:
        """Close what `open`, `open_stream`, `read_until`, `read` and `write` have opened. All of them open it
        again.
        """
        self._let_go()
        super().close()

    def read_until(
        self,
        expected: str | Sequence[str],
        timeout: float | timedelta = 60.0,
        *,
        regex: bool = False,
        encoding: str = "utf-8",
        controls: bool = False,
        strip: bool = False,
    ) -> str:
        """Return the output up to and including *expected*, from where the last read ended.

        It is looked for in what a person sees: colours and other control sequences do not count, nor does it matter how
        lines end. `jumpstarter.streams.matching` has the rules, which the Robot library keeps, too.

        Args:
            expected: text to wait for; of several, the one that comes first
            timeout: how long to wait: seconds, or a timedelta
            regex: take *expected* as a regular expression (see `re`), in which ``^`` and ``$`` match at lines
            encoding: how bytes become text; what is no text is replaced
            controls: look for it among control sequences, too, as they came
            strip: return the output without control sequences

        Raises:
            SerialReadTimeout: it did not arrive in time; the message has the text read so far, which stays
                readable
            SerialReadError: the stream ended before it arrived
        """
        from jumpstarter.streams.matching import Matcher

        matcher = Matcher(expected, regex=regex, encoding=encoding, controls=controls)
        data = self._console().take_until(matcher, _seconds(timeout))
        return _text(data, encoding, strip)

    def read(self, timeout: float | timedelta = 0.0, *, encoding: str = "utf-8", strip: bool = False) -> str:
        """Return all unread output. With none, wait up to *timeout* for some, then return an empty text.

        *strip* leaves out control sequences, *encoding* says how bytes become text. A character of which only the first bytes
        have come is left for the next read.
        """
        return _text(self._console().take(_seconds(timeout), encoding), encoding, strip)

    def write(self, data: str | bytes) -> None:
        """Send *data* as it is, text as UTF-8. Raises TypeError for anything else."""
        if isinstance(data, int) or data is None:  # bytes(5) would be five zeros
            raise TypeError(f"data is {data!r}, expected text or bytes")
        self._console().send(data.encode() if isinstance(data, str) else data)

    def write_line(self, text: str, newline: str = "\n") -> None:
        """Send *text* and *newline*."""
        self.write(text + newline)

    def set_dtr(self, value: bool) -> None:
        """Switch the DTR line. Raises DriverMethodNotImplemented when the port has none."""
        self.call("set_dtr", value)

    def set_rts(self, value: bool) -> None:
        """Switch the RTS line. Raises DriverMethodNotImplemented when the port has none."""
        self.call("set_rts", value)

    def send_break(self, duration: float | timedelta = 0.25) -> None:
        """Hold the line in the break condition: for seconds, or a timedelta, 5 seconds at most.

        Raises DriverInvalidArgument for another duration, DriverMethodNotImplemented when the port cannot send a break.
        """
        self.call("send_break", _seconds(duration))

    def settings(self) -> dict[str, Any]:
        """Rate, form of a character and flow control by name, as `configure` takes them."""
        return dict(self.call("get_settings"))

    def configure(
        self,
        *,
        baudrate: int | None = None,
        bytesize: int | None = None,
        parity: str | None = None,
        stopbits: float | None = None,
        rtscts: bool | None = None,
        xonxoff: bool | None = None,
        dsrdtr: bool | None = None,
    ) -> dict[str, Any]:
        """Change settings of the line, also while it is open; they hold until the lease ends. Returns all settings.

        Args:
            baudrate: bits per second
            bytesize: data bits of a character: 5, 6, 7 or 8
            parity: N, E, O, M or S, or the word: none, even, odd, mark, space
            stopbits: 1, 1.5 or 2
            rtscts: flow control by the lines RTS and CTS
            xonxoff: flow control by the characters XON and XOFF
            dsrdtr: flow control by the lines DSR and DTR

        Raises:
            DriverInvalidArgument: the port does not take a value; nothing is changed then
            DriverMethodNotImplemented: the port is a raw TCP connection
        """
        given = {
            "baudrate": baudrate,
            "bytesize": bytesize,
            "parity": parity,
            "stopbits": stopbits,
            "rtscts": rtscts,
            "xonxoff": xonxoff,
            "dsrdtr": dsrdtr,
        }
        return dict(self.call("configure", {key: value for key, value in given.items() if value is not None}))

    def cli(self) -> click.Group:
        """The commands ``start-console``, ``pipe``, ``settings`` and ``send-break``."""
        from .commands import pipe_command, start_console_command
        from .line_commands import send_break_command, settings_command

        @driver_click_group(self)
        def base() -> None:
            """Serial port"""

        base.add_command(start_console_command(self))
        base.add_command(pipe_command(self))
        base.add_command(settings_command(self))
        base.add_command(send_break_command(self))
        return base

    def _console(self) -> SerialReader:
        if self._reader is None:
            self._reader = SerialReader(self.logger.warning)
        if not self._reader.attached:
            self._start_over()
            self._reader.attach(super()._open("connect"))
        return self._reader

    def _start_over(self) -> None:
        """Close what is open, and see to it that what is opened next goes with the connection."""
        self._let_go()
        if self.stack is not None:
            self.stack.callback(self._let_go)

    def _detach(self) -> None:
        if self._reader is not None:
            self._reader.detach()

    def _let_go(self) -> None:
        self._detach()
        self._opened.close()


def _seconds(timeout: float | timedelta) -> float:
    """*timeout* in seconds. Raises ValueError for what no wait can be compared with: None, a text, nan."""
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if not isinstance(seconds, (int, float)) or math.isnan(seconds):
        raise ValueError(f"timeout is {timeout!r}, expected seconds, or a timedelta")
    return min(seconds, threading.TIMEOUT_MAX)


def _text(data: bytes, encoding: str, strip: bool) -> str:
    from jumpstarter.streams.screen import as_shown

    return as_shown(data, encoding) if strip else data.decode(encoding, "replace")
