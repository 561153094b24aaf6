"""A network between two processes that swallows what is sent, without a word to either side, until it is mended, or is slow."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType


class Network:
    """TCP connections to *target*, HOST:PORT. Those of the time when it swallows stay dead for ever."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host.strip("[]"), int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._swallows = threading.Event()
        self._flows = threading.Event()
        self._flows.set()
        self._connections = threading.Semaphore(0)
        self._sockets: list[socket.socket] = []
        self._dead: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def swallow(self) -> None:
        """From now on nothing arrives, on connections that are there and on new ones."""
        self._swallows.set()
        self._dead.update(self._sockets)

    def mend(self) -> None:
        """New connections carry again."""
        self._swallows.clear()

    def hold_up(self) -> None:
        """What is sent from now on arrives after `let_go`."""
        self._flows.clear()

    def let_go(self) -> None:
        """The opposite of `hold_up`."""
        self._flows.set()

    def connection(self, timeout: float) -> bool:
        """Wait for one more connection; False after *timeout* seconds."""
        return self._connections.acquire(timeout=timeout)

    def __enter__(self) -> Network:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for sock in (self._listener, *self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _run(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                self._sockets.append(near)
                self._connections.release()
                if self._swallows.is_set():
                    self._dead.add(near)
                    continue
                far = socket.create_connection(self._target)
                self._sockets.append(far)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                if source not in self._dead:
                    target.sendall(data)
            if source not in self._dead:
                target.shutdown(socket.SHUT_WR)
