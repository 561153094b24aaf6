"""Joining a local socket with a stream of a driver client, by threads and blocking calls.

One thread a direction, no event loop, no queue of its own: the receiver of one side is the sender of the
other, so a slow side slows the other down and memory stays bounded. An end of sending on one side becomes an
end of sending on the other; the opposite direction goes on.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jumpstarter.streams.blocking import BlockingStream

SMALLEST_READ = 64 * 1024
LARGEST_READ = 1024 * 1024


class Relay:
    """Carries bytes both ways between *sock* and *stream*; owns both from `run` or `start` on.

    Args:
        sock: a connected, blocking stream socket
        stream: an open stream of a driver client
        name: who the stream belongs to, for log messages and thread names
        logger: where a broken connection is told
    """

    def __init__(
        self, sock: socket.socket, stream: BlockingStream, name: str, logger: logging.Logger
    ) -> None:
        self._socket = sock
        self._stream = stream
        self._name = name
        self._logger = logger
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Carry in the background until both directions have ended or `stop`."""
        self._thread = threading.Thread(target=self.run, name=f"relay {self._name}", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Carry until both directions have ended or `stop`; then close the socket and the stream."""
        uplink = threading.Thread(target=self._carry_up, name=f"uplink {self._name}", daemon=True)
        uplink.start()
        try:
            self._carry_down()
            uplink.join()
        finally:
            self._stream.close()
            self._socket.close()

    def stop(self) -> None:
        """End both directions now and wait for the threads. May be called at any time, and twice."""
        self._end()
        if self._thread is not None:
            self._thread.join()

    def _end(self, how: int = socket.SHUT_RDWR) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(how)
        abandon(self._stream)

    def _carry_up(self) -> None:
        from anyio import BrokenResourceError, ClosedResourceError
        from jumpstarter.common.exceptions import JumpstarterException

        size = SMALLEST_READ
        try:
            while data := self._socket.recv(size):
                self._stream.send(data)
                size = _next_size(size, len(data))
            self._stream.send_eof()
        except OSError:
            # The local program hung up hard: nobody is left to send to.
            self._end()
        except (BrokenResourceError, ClosedResourceError, JumpstarterException):
            # The remote side takes nothing any more; `_carry_down` learns the reason and tells it.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)

    def _carry_down(self) -> None:
        from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
        from jumpstarter.common.exceptions import JumpstarterException

        try:
            while True:
                self._socket.sendall(self._stream.receive())
        except EndOfStream:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end()
        except (BrokenResourceError, ClosedResourceError, JumpstarterException) as error:
            if not self._stopping:
                self._logger.warning("%s: the connection broke: %s", self._name, describe(error))
                reset_on_close(self._socket)
            # Ending the writing side would look like a clean end to the program, which may have half of its data.
            self._end(socket.SHUT_RD)


def abandon(stream: BlockingStream) -> None:
    """End *stream* now. Closing would first wait for the exporter to take what was sent."""
    cancel: Callable[[], None] = getattr(stream.stream, "cancel", stream.close)
    cancel()


def describe(error: BaseException) -> str:
    """The error in one line, its class name where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def reset_on_close(sock: socket.socket) -> None:
    """Make the close of *sock* a reset, so that the program at its other end sees a failure and not a clean
    end.
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _next_size(size: int, got: int) -> int:
    """A larger read while reads come back full, a smaller one when they do not: small talk needs no large
    buffers.
    """
    if got == size:
        return min(size * 2, LARGEST_READ)
    if got * 8 < size:
        return max(size // 2, SMALLEST_READ)
    return size
