"""Far ends of serial ports: boards on pseudo terminals, and the servers of ports over TCP."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import socket
import tempfile
import threading
import tty
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from robot.api.deco import keyword, library

LIMIT = 60
ANSWERS = {
    b"": b"login: ",
    b"root": b"Password: ",
    b"secret": b"Last login: never\r\nboard# ",
    b"uname -r": b"6.1.0-board\r\nboard# ",
    b"reset": b"\x1b[2J\x1b[1;32mU-Boot 2024.01\x1b[0m\r\n\r\nAutoboot in 3\r\n=> ",
}
"""What the board with a script answers to a line."""


class Terminal:
    """A pseudo terminal; *far* is the board's end."""

    def __init__(self) -> None:
        self.far, self._near = os.openpty()
        self.path = os.ttyname(self._near)
        # The terminal must not echo what the board says back to the board before the driver opens it.
        tty.setraw(self._near)

    def say(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.far, view) :]

    def hear(self, size: int) -> bytes:
        """Exactly *size* bytes."""
        data = b""
        while len(data) < size:
            assert select.select([self.far], [], [], LIMIT)[0], f"the board heard {data!r} only"
            data += os.read(self.far, size - len(data))
        return data

    def close(self) -> None:
        for descriptor in (self.far, self._near):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.far = self._near = -1


@library(scope="SUITE", auto_keywords=False)
class serial_peers:  # noqa: N801 - Robot's name for it
    """Makes far ends, and configurations of exporters whose ports lead to them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path()
        self._terminal: Terminal | None = None
        self._server_port: Any = None

    @property
    def _board(self) -> Terminal:
        assert self._terminal is not None, "start a board first"
        return self._terminal

    @keyword
    def serial_exporter(self, url: str, **config: Any) -> str:
        """The path of an exporter's configuration whose driver `serial` has this URL."""
        driver = {
            "type": "jumpstarter_driver_pyserial.driver.PySerial",
            "config": {"url": url, **config},
        }
        document = {
            "apiVersion": "jumpstarter.dev/v1alpha1",
            "kind": "ExporterConfig",
            "metadata": {"namespace": "default", "name": "serial"},
            "export": {"serial": driver},
        }
        path = self._new_folder() / "exporter.yaml"
        path.write_text(json.dumps(document))
        return str(path)

    # ----- boards on pseudo terminals

    @keyword
    def start_board(self) -> str:
        """A board that is silent until told; its port."""
        self._terminal = Terminal()
        self._stack.callback(self._terminal.close)
        return self._terminal.path

    @keyword
    def board_port(self) -> str:
        """The port of the board that was started last."""
        return self._board.path

    @keyword
    def start_board_with_a_script(self) -> str:
        """A board that answers lines; its port."""
        path = self.start_board()
        self._in_thread(self._follow_script, self._board)
        return path

    @staticmethod
    def _follow_script(board: Terminal, stop: int) -> None:
        line = b""
        while stop not in (ready := select.select([board.far, stop], [], [])[0]):
            assert ready
            line += os.read(board.far, 4096)
            while b"\n" in line:
                asked, _, line = line.partition(b"\n")
                # In pieces, as a UART does: no answer comes at once.
                answer = ANSWERS.get(asked.rstrip(b"\r"), b"sh: not found\r\nboard# ")
                for start in range(0, len(answer), 3):
                    board.say(answer[start : start + 3])

    @keyword
    def board_says(self, text: str) -> None:
        """Let the board say text; a character above 127 is encoded."""
        self._board.say(text.encode())

    @keyword
    def board_says_bytes(self, data: bytes) -> None:
        """Let the board say bytes."""
        self._board.say(data)

    @keyword
    def board_should_hear(self, expected: bytes) -> None:
        """Wait for as many bytes as are expected, and compare them."""
        heard = self._board.hear(len(expected))
        if heard != expected:
            raise AssertionError(f"the board heard {heard!r}, expected {expected!r}")

    @keyword
    def unplug_board(self) -> None:
        """The port goes away, as that of an adapter that is pulled out."""
        self._board.close()

    @keyword
    def lock_port(self, path: str) -> None:
        """Have the port in another program: until everything is cleaned up."""
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self._stack.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @keyword
    def link_to_a_new_board(self, link: str | None = None) -> str:
        """Start a board, and give its port a name that stays when another board comes; the name."""
        name = Path(link) if link else self._new_folder() / "ttyBoard"
        name.unlink(missing_ok=True)
        name.symlink_to(self.start_board())
        return str(name)

    @keyword
    def missing_board(self) -> str:
        """The name of a port that is not there yet."""
        return str(self._new_folder() / "ttyBoard")

    @keyword
    def board_comes_up_and_says(self, link: str, text: str) -> None:
        """The port appears a moment later, as that of a board which gets its power, and the board says something.

        It says it again and again: what comes before somebody has opened the port is lost.
        """
        clean = threading.Event()

        def come_up() -> None:
            self.link_to_a_new_board(link)
            while not clean.wait(0.1):
                self.board_says(text)

        timer = threading.Timer(0.5, come_up)
        timer.start()
        self._stack.callback(timer.join)
        self._stack.callback(clean.set)

    # ----- servers of ports over TCP

    @keyword
    def start_console_server(self) -> str:
        """A server, such as ser2net, that greets and then echoes; hangs up when it hears `bye`. Its URL."""
        return f"socket://127.0.0.1:{self._serve(self._greet)}"

    @staticmethod
    def _greet(peer: socket.socket) -> None:
        peer.sendall(b"welcome\n")
        while (data := peer.recv(4096)) and data != b"bye\n":
            peer.sendall(data)

    @keyword
    def start_rfc2217_server(self) -> str:
        """pyserial's own RFC 2217 server, for one connection, in front of a port that loops. Its URL."""
        import serial

        # Not a pseudo terminal: the server reads modem lines, which those do not have.
        self._server_port = self._stack.enter_context(serial.serial_for_url("loop://", timeout=0.05))
        return f"rfc2217://127.0.0.1:{self._serve(self._speak_rfc2217)}"

    def _speak_rfc2217(self, peer: socket.socket) -> None:
        import serial.rfc2217

        port, lock, done = self._server_port, threading.Lock(), threading.Event()

        class Link:
            def write(self, data: bytes) -> None:
                with lock:
                    peer.sendall(data)

        link: Any = Link()
        manager = serial.rfc2217.PortManager(port, link)

        def from_port() -> None:
            with contextlib.suppress(OSError):
                while not done.is_set():
                    if data := port.read(port.in_waiting or 1):
                        with lock:
                            peer.sendall(b"".join(manager.escape(data)))

        reader = threading.Thread(target=from_port)
        reader.start()
        try:
            while data := peer.recv(1024):
                port.write(b"".join(manager.filter(data)))
        finally:
            done.set()
            reader.join()

    @keyword
    def server_port_should_have(self, baudrate: int, dtr: bool) -> None:
        """Check what the RFC 2217 server made of its port; a port that loops has its DTR at DSR."""
        found = (self._server_port.baudrate, self._server_port.dsr)
        if found != (baudrate, dtr):
            raise AssertionError(f"baudrate and DTR are {found}, expected {(baudrate, dtr)}")

    # ----- their lives

    @keyword
    def clean_up(self) -> None:
        """End everything that was started."""
        self._stack.close()
        self._terminal = None

    def _new_folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jmp-serial-")))

    def _in_thread(self, work: Callable[..., None], *arguments: Any) -> None:
        """Run *work* until a descriptor, its last argument, can be read."""
        stop, stopper = os.pipe()

        def run() -> None:
            try:
                work(*arguments, stop)
            except OSError as error:
                if error.errno not in (errno.EIO, errno.EBADF):
                    raise

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def end() -> None:
            os.write(stopper, b"x")
            thread.join(LIMIT)
            os.close(stop)
            os.close(stopper)

        self._stack.callback(end)

    def _serve(self, talk: Callable[[socket.socket], None]) -> int:
        """Listen, and talk with each peer on one thread, one after the other; the port."""
        server = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer, contextlib.suppress(OSError):
                    talk(peer)

        threading.Thread(target=accept, daemon=True).start()
        self._stack.callback(server.shutdown, socket.SHUT_RDWR)
        return int(server.getsockname()[1])
