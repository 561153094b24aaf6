"""A connected socket, pumped by threads."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

from jumpstarter.common.memory import keep_buffers

_READ: Final = 512 << 10


class SocketPump:
    """Blocking reads and writes on a duplicate of a connected socket, which some event loop may own.

    The duplicate shares the file description, so the blocking mode of the owner's changes too: the owner must leave the
    socket alone while the pump runs.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = socket.socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
        self._socket.setblocking(True)
        keep_buffers()
        self._closed = False

    def read(self) -> bytes | None:
        """The next bytes; None at the end. Raises OSError when the connection broke."""
        try:
            return self._socket.recv(_READ) or None
        except OSError:
            if self._closed:
                return None
            raise

    def write(self, data: bytes) -> bool:
        """Send all of *data*; False when the peer is gone."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def finish(self) -> None:
        """Send no more; reading goes on."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End both directions and wake both threads. Closing twice is fine."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
