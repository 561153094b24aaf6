"""A network that drops connections, or delivers nothing any more, between client and exporter.

What bounds a stall: gRPC's pings, on both sides. A client learns after 200 s at the latest that an exporter does not
answer (pings every 20 s, 180 s for the answer, as stock clients have it), an exporter after 120 s that a client is gone
(60 s, 60 s); a connection with data under way breaks after 60 s. The tests set shorter times.
"""

from __future__ import annotations

import os
import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from anyio import BrokenResourceError
from jumpstarter.client.client import connect_path
from jumpstarter.common import grpc as channels
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.session import server
from jumpstarter_testing.eventually import eventually

from .conftest import LIMIT, Exporter

QUICK = {
    "grpc.keepalive_time_ms": 1000,
    "grpc.keepalive_timeout_ms": 1000,
    # For gRPC's own pings, which measure a busy connection; 60 s unless set.
    "grpc.http2.ping_timeout_ms": 1000,
}


class Proxy:
    """A TCP connection to *target* that can be cut, or stalled in both directions."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._stalled = False
        self.carried = 0
        self._thread = threading.Thread(target=self._run)
        self._command = b""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def stall(self) -> None:
        """Carry nothing from now on; the connections stay open."""
        self._wake_writer.send(b"s")

    def cut(self) -> None:
        """Close all connections."""
        self._wake_writer.send(b"c")

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake_writer.send(b"e")
        self._thread.join()
        self._close()
        for sock in (self._listener, self._wake_reader, self._wake_writer):
            sock.close()

    def _run(self) -> None:
        while True:
            sources = [] if self._stalled else [self._listener, *self._pairs]
            ready, _, _ = select.select([self._wake_reader, *sources], [], [])
            if self._wake_reader in ready:
                command = self._wake_reader.recv(1)
                if command == b"e":
                    return
                self._stalled = command == b"s"
                if command == b"c":
                    self._close()
                continue
            for sock in ready:
                if sock is self._listener:
                    self._accept()
                elif sock in self._pairs:
                    self._carry(sock)

    def _accept(self) -> None:
        near = self._listener.accept()[0]
        far = socket.create_connection(self._target)
        self._pairs |= {near: far, far: near}

    def _carry(self, sock: socket.socket) -> None:
        other = self._pairs[sock]
        with suppress(OSError):
            if data := sock.recv(65536):
                other.sendall(data)
                self.carried += len(data)
                return
        for one in (sock, other):
            del self._pairs[one]
            one.close()

    def _close(self) -> None:
        for sock in self._pairs:
            sock.close()
        self._pairs = {}


@pytest.fixture
def proxy(exporter: Exporter) -> Iterator[Proxy]:
    with Proxy(exporter.address) as running:
        yield running


def connected(stack: ExitStack, proxy: Proxy, **options: Any) -> Any:
    manager = connect_path(proxy.address, allow=[], unsafe=True, insecure=True, options=options)
    return stack.enter_context(manager)


def chunks_until(proxy: Proxy, action: Any) -> Iterator[bytes]:
    """Data without end; *action* happens when the first MiB has gone through."""
    done = False
    while True:
        if not done and proxy.carried > 1 << 20:
            action()
            done = True
        yield b"x" * 65536


class Sink:
    """A file that only counts, and does *action* after the first MiB."""

    def __init__(self, action: Any) -> None:
        self.count = 0
        self._action = action

    def write(self, data: bytes) -> int:
        if self.count <= 1 << 20 < self.count + len(data):
            self._action()
        self.count += len(data)
        return len(data)


def bytes_told(error: Exception) -> int:
    found = re.search(r"when ([0-9]+) bytes", str(error))
    assert found is not None
    return int(found.group(1))


@pytest.mark.parametrize("how", ["cut", "stall"])
def test_an_upload_ends(exporter: Exporter, proxy: Proxy, how: str) -> None:
    with ExitStack() as stack:
        client = connected(stack, proxy, **QUICK)
        source = chunks_until(proxy, getattr(proxy, how))
        with (
            pytest.raises(
                ConnectionError, match=r"the transfer was cut when ([0-9]+) bytes had been sent"
            ) as caught,
            client.faulty.sending(source) as handle,
        ):
            client.faulty.call("take", handle)
        assert bytes_told(caught.value) >= 1 << 20
    if how == "stall":
        proxy.cut()  # an exporter's own keepalive is tested below
    eventually(lambda: "take" not in exporter.held(), timeout=LIMIT)


@pytest.mark.parametrize("how", ["cut", "stall"])
def test_a_download_ends(exporter: Exporter, proxy: Proxy, how: str) -> None:
    sink: Any = Sink(getattr(proxy, how))
    with ExitStack() as stack:
        client = connected(stack, proxy, **QUICK)
        with (
            pytest.raises(
                ConnectionError, match=r"the transfer was cut when [0-9]+ bytes had arrived"
            ) as caught,
            client.faulty.receiving(sink) as handle,
        ):
            client.faulty.call("give", handle, 1 << 40)
        assert bytes_told(caught.value) == sink.count
    if how == "stall":
        proxy.cut()
    eventually(lambda: "give" not in exporter.held(), timeout=LIMIT)


@pytest.mark.parametrize("how", ["cut", "stall"])
def test_calls_and_streams_end(exporter: Exporter, proxy: Proxy, how: str) -> None:
    with ExitStack() as stack:
        client = connected(stack, proxy, **QUICK)
        items = client.faulty.streamingcall("ticks")
        assert next(items) == 0
        stream = client.faulty.open_stream("port")
        getattr(proxy, how)()
        with pytest.raises(ConnectionError):
            for _ in items:
                pass
        with pytest.raises(BrokenResourceError, match="cannot be reached or went away"):
            stream.receive()
    if how == "stall":
        proxy.cut()
    eventually(lambda: exporter.held() == [], timeout=LIMIT)


def test_a_client_connects_again_after_a_cut(exporter: Exporter, proxy: Proxy) -> None:
    with ExitStack() as stack:
        client = connected(stack, proxy)
        assert client.faulty.call("ping") == "pong"
        proxy.cut()

        def answers() -> bool:
            try:
                return bool(client.faulty.call("ping") == "pong")
            except ConnectionError:
                return False

        eventually(answers, timeout=LIMIT)


def test_an_exporter_frees_the_device_of_a_client_that_vanished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a packet that would tell: its machine lost power, or its cable was pulled."""
    import faulty
    from jumpstarter.session import Session

    for key, value in server.KEEPALIVE:
        assert value <= 60_000, key
    monkeypatch.setattr(server, "KEEPALIVE", tuple(QUICK.items()))
    driver = faulty.Faulty()
    with ExitStack() as stack:
        session = stack.enter_context(Session(root_device=driver))
        session.update_status(faulty_ready())
        proxy = stack.enter_context(Proxy(f"127.0.0.1:{stack.enter_context(session.serve_tcp())}"))
        client = connected(stack, proxy)
        assert next(client.streamingcall("ticks")) == 0
        stream = client.open_stream("port")
        proxy.stall()
        eventually(lambda: driver.held() == [], timeout=LIMIT)
        proxy.cut()
        with pytest.raises(BrokenResourceError):
            stream.receive()


def faulty_ready() -> Any:
    from jumpstarter.common.enums import ExporterStatus

    return ExporterStatus.LEASE_READY


def test_the_client_side_bound_is_as_documented() -> None:
    bounds = dict(channels.KEEPALIVE)
    assert bounds["grpc.keepalive_time_ms"] + bounds["grpc.keepalive_timeout_ms"] <= 200_000


def test_a_command_whose_network_is_cut_ends_with_one_line(exporter: Exporter, proxy: Proxy) -> None:
    env = {"JUMPSTARTER_HOST": proxy.address, "JMP_GRPC_INSECURE": "1", "JMP_DRIVERS_ALLOW": "UNSAFE"}
    with exporter.command("env", *[f"{k}={v}" for k, v in env.items()], "j", "faulty", "items", "ticks") as j:
        j.wait_for("^3$")
        proxy.cut()
        assert j.end() == 1
    errors = [line for line in j.errors if not line.isdigit()]
    assert len(errors) == 1 and "went away" in errors[0], j.lines
    assert os.linesep not in errors[0]
