"""The serial line of an emulated board: one guest, any number of readers, and a memory for what nobody read.

`ConsoleHub` listens on a unix socket. Everything the guest writes goes to every connection of that socket;
what any of them writes goes to the guest. Rules that hold:

- What the guest writes while no reader is connected is kept, the newest `KEPT` bytes of it, and is the first
  thing that the next reader gets. So a console that is opened after power-on shows the boot from its first
  line.
- A new guest begins with nothing kept: a reader never sees two boots as one.
- Readers stay connected while the board is off, as with a real serial adapter; what they write then is lost.
- A reader that takes nothing costs `BACKLOG` bytes and is then disconnected; the guest and the other readers
  go on.
- When the guest takes no input, readers are stalled, nothing is lost.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

KEPT = 1 << 20
BACKLOG = 4 << 20
_CHUNK = 65536


class _End:
    """One socket of the hub, with the bytes that wait to be sent."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.waiting = bytearray()
        self.input_ended = False

    def receive(self) -> bytes | None:
        """What has arrived; b"" at the end of input, None when there is nothing."""
        try:
            return self.connection.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def flush(self) -> bool:
        """Send what waits, as far as the socket takes it; False when the far end is gone."""
        try:
            while self.waiting:
                sent = self.connection.send(self.waiting[:_CHUNK])
                del self.waiting[:sent]
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


class ConsoleHub:
    """See the module's text. *path* is where the unix socket is made."""

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        self.path = path
        self._logger = logger
        self._guest: _End | None = None
        self._readers: dict[int, _End] = {}
        self._kept = bytearray()
        self._requests: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.setblocking(False)
        self._open = True
        self._thread = threading.Thread(target=self._run, name="qemu-console", daemon=True)
        self._thread.start()

    def attach(self, guest: socket.socket) -> None:
        """Take *guest* as the serial line of a board that was just switched on."""

        def replace() -> None:
            self._drop_guest()
            self._kept.clear()
            self._guest = _End(guest)

        self._request(replace)

    def close(self) -> None:
        """Disconnect everyone and remove the socket."""
        if self._thread.is_alive():
            self._request(self._stop)
            self._thread.join()
        self.path.unlink(missing_ok=True)

    # --- the hub's thread; everything below runs on it ---

    def _request(self, action: Callable[[], None]) -> None:
        """Run *action* on the hub's thread; called from others."""
        with self._lock:
            self._requests.append(action)
        os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        try:
            while self._open:
                self._turn()
        finally:
            ends = [*self._readers.values(), *([self._guest] if self._guest else [])]
            for end in ends:
                end.connection.close()
            self._listener.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _turn(self) -> None:
        """Wait for something to happen, and handle it."""
        for fd, event in self._wait():
            if fd == self._wake_read:
                self._run_requests()
            elif fd == self._listener.fileno():
                self._accept()
            elif fd in self._readers:
                self._serve_reader(fd, event)
            elif self._guest is not None and fd == self._guest.connection.fileno():
                self._serve_guest(self._guest)

    def _wait(self) -> list[tuple[int, int]]:
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        stalled = self._guest is not None and len(self._guest.waiting) >= _CHUNK
        for fd, reader in self._readers.items():
            wants_input = not stalled and not reader.input_ended
            poll.register(fd, _events(wants_input, bool(reader.waiting)))
        if self._guest is not None:
            poll.register(self._guest.connection, _events(True, bool(self._guest.waiting)))
        return poll.poll()

    def _run_requests(self) -> None:
        os.read(self._wake_read, 4096)
        with self._lock:
            requests, self._requests = self._requests, []
        for action in requests:
            action()

    def _stop(self) -> None:
        self._open = False

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        reader = _End(connection)
        reader.waiting += self._kept
        self._kept.clear()
        self._readers[connection.fileno()] = reader

    def _serve_reader(self, fd: int, event: int) -> None:
        reader = self._readers[fd]
        if event & select.POLLIN:
            data = reader.receive()
            if data == b"":
                # The reader may have ended its input only; that it is gone altogether is told by POLLHUP.
                reader.input_ended = True
            elif data and self._guest is not None:
                self._guest.waiting += data
                self._guest.flush()
        gone = bool(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL))
        if gone or not reader.flush():
            self._drop_reader(fd)

    def _serve_guest(self, guest: _End) -> None:
        data = guest.receive()
        if data == b"" or not guest.flush():
            self._drop_guest()
        elif data:
            self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        if not self._readers:
            self._kept += data
            del self._kept[:-KEPT]
        for fd, reader in list(self._readers.items()):
            reader.waiting += data
            if not reader.flush():
                self._drop_reader(fd)
            elif len(reader.waiting) > BACKLOG:
                self._logger.warning("a console reader takes nothing, disconnected after %d bytes", BACKLOG)
                self._drop_reader(fd)

    def _drop_reader(self, fd: int) -> None:
        reader = self._readers.pop(fd)
        reader.connection.close()

    def _drop_guest(self) -> None:
        if self._guest is not None:
            self._guest.connection.close()
            self._guest = None


def _events(wants_input: bool, has_output: bool) -> int:
    return (select.POLLIN if wants_input else 0) | (select.POLLOUT if has_output else 0)
