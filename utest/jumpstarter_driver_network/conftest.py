"""Real peers for the network drivers, each on a thread or in a process of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes, and says goodbye after the client's end of sending."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)
            self.request.sendall(b"bye")


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


class UdpServer(socketserver.UDPServer):
    max_packet_size = 65535


class UdpEcho(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(data, self.client_address)


@contextlib.contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def tcp_echo_server() -> Iterator[tuple[str, int]]:
    """Address of a TCP echo server."""
    server = TcpServer(("127.0.0.1", 0), Echo)
    with running(server):
        yield "127.0.0.1", server.server_address[1]


@pytest.fixture
def unix_echo_server(tmp_path: Path) -> Iterator[str]:
    """Path of a unix echo server."""
    path = str(tmp_path / "echo.sock")
    with running(UnixServer(path, Echo)):
        yield path


@pytest.fixture
def udp_echo_server() -> Iterator[tuple[str, int]]:
    """Address of a UDP echo server."""
    server = UdpServer(("127.0.0.1", 0), UdpEcho)
    with running(server):
        yield "127.0.0.1", server.server_address[1]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A TCP port where nothing listens, and which nobody else gets meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])


@pytest.fixture
def session_bus() -> Iterator[str]:
    """Address of a real D-Bus session bus."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None or shutil.which("dbus-send") is None:
        pytest.skip("needs dbus-daemon and dbus-send (package dbus)")
    with subprocess.Popen(
        [daemon, "--session", "--print-address", "--nofork", "--nopidfile"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()
