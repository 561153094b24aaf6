"""Peers that an exporter reaches over a network, each on a thread or in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from robot.api import SkipExecution
from robot.api.deco import keyword, library

LIMIT = 60
FAMILY = "jumpstarter_driver_network.driver."


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes, and says goodbye after the client's end of sending."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)
            self.request.sendall(b"bye")


class UdpEcho(socketserver.BaseRequestHandler):
    """Answers a datagram with what it holds, in brackets: so one is not taken for two."""

    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(b"[" + data + b"]", self.client_address)


class TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the suite's log is not the place."""


@library(scope="SUITE", auto_keywords=False)
class network_peers:  # noqa: N801 - Robot's name for it
    """Starts the peers, and connects to where an exporter forwards them to."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._config = ""

    @keyword
    def start_peers(self) -> str:
        """Start all peers but the bus; the path of an exporter's configuration with a driver for each."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jmp-network-")))
        (folder / "page.txt").write_text("a page of the board\n")
        files = partial(Files, directory=str(folder))
        echo = self._serve(TcpServer(("127.0.0.1", 0), Echo))
        web = self._serve(ThreadingHTTPServer(("127.0.0.1", 0), files))
        udp = self._serve(socketserver.UDPServer(("127.0.0.1", 0), UdpEcho))
        self._serve(UnixServer(str(folder / "echo.sock"), Echo))
        drivers: dict[str, tuple[str, dict[str, Any]]] = {
            "tcp": ("TcpNetwork", {"host": "127.0.0.1", "port": echo}),
            "web": ("TcpNetwork", {"host": "127.0.0.1", "port": web}),
            "nobody": ("TcpNetwork", {"host": "127.0.0.1", "port": self.free_port()}),
            "hidden": ("TcpNetwork", {"host": "127.0.0.1", "port": echo, "enable_address": False}),
            "udp": ("UdpNetwork", {"host": "127.0.0.1", "port": udp}),
            "local": ("UnixNetwork", {"path": str(folder / "echo.sock")}),
            "websocket": ("WebsocketNetwork", {"url": f"ws://127.0.0.1:{self._serve_websocket()}"}),
            "echo": ("EchoNetwork", {}),
        }
        self._config = self._exporter(folder, drivers)
        return self._config

    @keyword
    def peers_exporter(self) -> str:
        """The path of the configuration, again."""
        return self._config

    @keyword
    def free_port(self) -> int:
        """A TCP port where nothing listens."""
        with socket.create_server(("127.0.0.1", 0)) as sock:
            return int(sock.getsockname()[1])

    @keyword
    def start_bus(self) -> str:
        """Start a session bus and make it the exporter's; the path of a configuration with a driver `bus`."""
        daemon = shutil.which("dbus-daemon")
        if daemon is None or shutil.which("dbus-send") is None:
            raise SkipExecution("D-Bus needs dbus-daemon and dbus-send: install the package dbus")
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jmp-bus-")))
        process = subprocess.Popen(
            [daemon, "--session", "--print-address", "--nofork", "--nopidfile"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(self._end_process, process)
        assert process.stdout is not None
        before = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = process.stdout.readline().strip()
        self._stack.callback(self._restore_bus, before)
        return self._exporter(folder, {"bus": ("DbusNetwork", {"kind": "session"})})

    @staticmethod
    def _restore_bus(before: str | None) -> None:
        os.environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
        if before is not None:
            os.environ["DBUS_SESSION_BUS_ADDRESS"] = before

    @staticmethod
    def _end_process(process: subprocess.Popen[str]) -> None:
        process.terminate()
        process.communicate(timeout=LIMIT)

    @staticmethod
    def _exporter(folder: Path, drivers: dict[str, tuple[str, dict[str, Any]]]) -> str:
        export = {name: {"type": FAMILY + kind, "config": config} for name, (kind, config) in drivers.items()}
        document = {
            "apiVersion": "jumpstarter.dev/v1alpha1",
            "kind": "ExporterConfig",
            "metadata": {"namespace": "default", "name": "network"},
            "export": export,
        }
        path = folder / "exporter.yaml"
        path.write_text(json.dumps(document))
        return str(path)

    def _serve(self, server: socketserver.BaseServer) -> int:
        """Run the server; its port, if it has one."""
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        for end in (server.server_close, thread.join, server.shutdown):  # in the order of an exit stack
            self._stack.callback(end)
        address: Any = server.server_address
        return int(address[1]) if isinstance(address, tuple) else 0

    def _serve_websocket(self) -> int:
        """A WebSocket server that greets and then echoes messages; its port."""
        from websockets.sync.server import serve

        def talk(connection: Any) -> None:
            connection.send(b"welcome ")
            for message in connection:
                connection.send(message)

        server = self._stack.enter_context(serve(talk, "127.0.0.1", 0))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.shutdown)
        return int(server.socket.getsockname()[1])

    @keyword
    def clean_up(self) -> None:
        """End all peers."""
        self._stack.close()

    # ----- clients of the forwards

    @keyword
    def ask(self, address: Any, data: bytes, size: int) -> bytes:
        """Connect to a forward (a path, or host and port), send *data* and return the first *size* bytes."""
        with self._connected(address) as sock:
            sock.sendall(data)
            answer = b""
            while len(answer) < size:
                received = sock.recv(size - len(answer))
                assert received, f"the peer ended after {answer!r}"
                answer += received
            return answer

    @keyword
    def ask_to_the_end(self, address: Any, data: bytes) -> bytes:
        """Connect, send *data*, end sending, and return all that comes until the peer ends, too."""
        with self._connected(address) as sock:

            def send() -> None:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            parts = []
            while received := sock.recv(1 << 20):
                parts.append(received)
            sender.join()
            return b"".join(parts)

    @keyword
    def ask_at_the_same_time(self, address: Any, count: int) -> None:
        """Have *count* connections at the same time; each must get its own data back."""
        with ExitStack() as stack:
            socks = [stack.enter_context(self._connected(address)) for _ in range(count)]
            for number, sock in enumerate(socks):
                sock.sendall(b"%05d" % number)
            for number, sock in reversed(list(enumerate(socks))):
                answer = sock.recv(5, socket.MSG_WAITALL)
                assert answer == b"%05d" % number, f"connection {number} got {answer!r}"

    @staticmethod
    def _connected(address: Any) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        sock.settimeout(LIMIT)
        connect: Callable[[Any], None] = sock.connect
        connect(address if isinstance(address, str) else tuple(address))
        return sock
