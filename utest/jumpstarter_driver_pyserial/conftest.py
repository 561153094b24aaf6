"""Real far ends of serial ports: pseudo terminals, TCP servers, and pyserial's own RFC 2217 server."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Any

import pytest


class Board:
    """The far end of a pseudo terminal, driven by a test: what a board does on its UART."""

    def __init__(self) -> None:
        self.far, near = os.openpty()
        self.path = os.ttyname(near)
        # Before the driver opens it, the terminal must not echo what the board says back to the board.
        tty.setraw(near)
        # Kept open, so that the terminal lives on while the driver opens and closes it.
        self._near = near

    def say(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.far, view) :]

    def hear(self, size: int, timeout: float = 60.0) -> bytes:
        """Exactly *size* bytes that were sent to the board."""
        data = b""
        while len(data) < size:
            assert select.select([self.far], [], [], timeout)[0], f"only {data!r} arrived"
            data += os.read(self.far, size - len(data))
        return data

    def hang_up(self) -> None:
        self.close()

    def close(self) -> None:
        for descriptor in (self.far, self._near):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.far = self._near = -1


@pytest.fixture
def board() -> Iterator[Board]:
    """A board on a pseudo terminal, silent until told."""
    board = Board()
    yield board
    board.close()


def on_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.fixture
def echo_board(board: Board) -> Iterator[Board]:
    """A board that sends back everything."""
    stop_reader, stop_writer = os.pipe()

    def echo() -> None:
        while True:
            ready, _, _ = select.select([board.far, stop_reader], [], [])
            if stop_reader in ready:
                return
            board.say(os.read(board.far, 4096))

    thread = on_thread(echo)
    yield board
    os.write(stop_writer, b"x")
    thread.join()
    os.close(stop_reader)
    os.close(stop_writer)


@pytest.fixture
def greeting_server() -> Iterator[tuple[str, int]]:
    """A TCP server, such as ser2net, that greets and then echoes; for socket:// ports."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer, contextlib.suppress(OSError):
                    peer.sendall(b"welcome\n")
                    while data := peer.recv(4096):
                        peer.sendall(data)

        thread = on_thread(serve)
        yield "127.0.0.1", server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def rfc2217_server() -> Iterator[tuple[str, int, Any]]:
    """pyserial's RFC 2217 server, for one connection; host, port, and the looped serial port behind it.

    Not a pseudo terminal: the server reads modem lines, which those do not have.
    """
    import serial
    import serial.rfc2217

    port = serial.serial_for_url("loop://", timeout=0.05)
    with port, socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            lock = threading.Lock()

            class Link:
                def write(self, data: bytes) -> None:
                    with lock:
                        peer.sendall(data)

            with peer:
                manager = serial.rfc2217.PortManager(port, Link())
                done = threading.Event()

                def from_port() -> None:
                    with contextlib.suppress(OSError):
                        while not done.is_set():
                            if data := port.read(port.in_waiting or 1):
                                with lock:
                                    peer.sendall(b"".join(manager.escape(data)))

                reader = on_thread(from_port)
                with contextlib.suppress(OSError):
                    while data := peer.recv(1024):
                        port.write(b"".join(manager.filter(data)))
                done.set()
                reader.join()

        thread = on_thread(serve)
        yield "127.0.0.1", server.getsockname()[1], port
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
