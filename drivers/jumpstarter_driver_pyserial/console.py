"""A terminal in raw mode on a serial port."""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from jumpstarter.common.end_reason import end_reason

if TYPE_CHECKING:
    from jumpstarter.streams.blocking import BlockingStream

    from .client import PySerialClient

ESCAPE = b"\x02"
"""Ctrl+B."""
ESCAPES = 3
"""How often in a row Ctrl+B leaves."""
TERMINAL_GONE = "The terminal is gone"


class EscapeCounter:
    """Finds three Ctrl+B in a row, over any number of reads.

    The first two are passed on at once, so that programs on the board that use Ctrl+B (tmux, Emacs) still get
    them.
    """

    def __init__(self) -> None:
        self._seen = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on of *data*, and whether to leave after it."""
        for position, value in enumerate(data):
            self._seen = self._seen + 1 if value == ESCAPE[0] else 0
            if self._seen == ESCAPES:
                return data[:position], True
        return data, False


class ConsoleExit(Exception):
    """For programs written for stock Jumpstarter, which catch it around `Console.run`; nothing here raises it."""


class Console:
    """The console on a serial port's client, as programs start it."""

    def __init__(self, serial_client: PySerialClient) -> None:
        self.serial_client = serial_client

    def run(self) -> None:
        """Join this process's terminal with the port, until Ctrl+B three times or the stream's end."""
        with self.serial_client.stream() as stream:
            run_console(stream, sys.stdin.fileno(), sys.stdout.fileno())


def run_console(stream: BlockingStream, keyboard: int, screen: int) -> str:
    """Join the terminal (two file descriptors) with *stream* until the user leaves or the stream ends.

    The terminal is in raw mode meanwhile and gets its settings back, whatever happens. Returns a sentence that says how it
    ended.
    """
    import tty

    from jumpstarter.common.terminals import terminal_kept

    wake_reader, wake_writer = socket.socketpair()
    result: list[str] = []
    receiver = threading.Thread(target=_show, args=(stream, screen, wake_writer, result), daemon=True)
    with wake_reader, wake_writer, terminal_kept(keyboard):
        tty.setraw(keyboard)
        receiver.start()
        how = _type(stream, keyboard, wake_reader)
        stream.close()
        receiver.join()
    return how or end_reason() or result[0]


def _type(stream: BlockingStream, keyboard: int, wake: socket.socket) -> str:
    """Send what is typed; says how the user left, "" when the stream ended."""
    from anyio import BrokenResourceError, ClosedResourceError

    escapes = EscapeCounter()
    sources: list[int | socket.socket] = [keyboard, wake]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if wake in ready:
            return ""
        try:
            data = os.read(keyboard, 4096)
        except OSError:  # it was hung up, or belongs to others now
            return end_reason() or TERMINAL_GONE
        passed, leave = escapes.feed(data)
        try:
            if passed:
                stream.send(passed)
        except (BrokenResourceError, ClosedResourceError):
            return ""
        if leave:
            return "Left the console"
        if not data:
            return end_reason() or TERMINAL_GONE


def _show(stream: BlockingStream, screen: int, wake: socket.socket, result: list[str]) -> None:
    from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
    from jumpstarter.common.exceptions import JumpstarterException

    try:
        while True:
            view = memoryview(stream.receive())
            while view:
                view = view[os.write(screen, view) :]
    except (EndOfStream, ClosedResourceError):
        result.append("The serial port's stream ended")
    except (BrokenResourceError, JumpstarterException) as error:
        result.append(f"The connection broke: {error}")
    except OSError:
        result.append(TERMINAL_GONE)
    finally:
        with suppress(OSError):  # the console has ended already
            wake.send(b"x")
