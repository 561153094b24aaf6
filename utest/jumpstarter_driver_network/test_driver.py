from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from jumpstarter.client.core import DriverError, DriverInvalidArgument, DriverMethodNotImplemented
from jumpstarter.common.exceptions import ConfigurationError, JumpstarterException
from jumpstarter.common.utils import serve
from jumpstarter_driver_network.driver import (
    DbusNetwork,
    EchoNetwork,
    TcpNetwork,
    UdpNetwork,
    UnixNetwork,
    VsockNetwork,
    WebsocketNetwork,
)


def receive_exactly(stream: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += stream.receive()
    return data


def opening_error(driver: Any) -> str:
    """The message a client gets when it opens the driver's stream."""
    with serve(driver) as client, pytest.raises(JumpstarterException) as caught, client.stream():
        raise AssertionError("the stream opened")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tcp_carries_bytes_and_half_close_both_ways(tcp_echo_server: tuple[str, int]) -> None:
    host, port = tcp_echo_server
    with serve(TcpNetwork(host=host, port=port)) as client, client.stream() as stream:
        stream.send(b"hello")
        assert receive_exactly(stream, 5) == b"hello"
        stream.send_eof()
        assert receive_exactly(stream, 3) == b"bye"
        with pytest.raises(anyio.EndOfStream):
            stream.receive()


def test_tcp_resolves_names(tcp_echo_server: tuple[str, int]) -> None:
    with serve(TcpNetwork(host="localhost", port=tcp_echo_server[1])) as client, client.stream() as stream:
        stream.send(b"x")
        assert stream.receive() == b"x"


def test_tcp_refused_names_the_place_and_the_reason(closed_port: int) -> None:
    told = opening_error(TcpNetwork(host="127.0.0.1", port=closed_port))
    assert f"cannot connect to tcp://127.0.0.1:{closed_port}: connection refused" in told


def test_tcp_unknown_name_is_told() -> None:
    assert "the host name cannot be resolved" in opening_error(
        TcpNetwork(host="no-such-host.invalid", port=1)
    )


def test_tcp_without_answer_ends_after_the_connect_timeout() -> None:
    with contextlib.ExitStack() as stack:
        # A listener that accepts nothing and whose queue is full lets further connections hang.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        told = opening_error(TcpNetwork(host="127.0.0.1", port=address[1], connect_timeout=0.3))
    assert "no answer" in told


@pytest.mark.parametrize(
    ("driver", "url"),
    [
        (TcpNetwork(host="192.0.2.1", port=22), "tcp://192.0.2.1:22"),
        (TcpNetwork(host="2001:db8::1", port=22), "tcp://[2001:db8::1]:22"),
        (UdpNetwork(host="192.0.2.1", port=53), "udp://192.0.2.1:53"),
        (WebsocketNetwork(url="ws://192.0.2.1:8080/x"), "ws://192.0.2.1:8080/x"),
    ],
)
def test_address_is_a_url(driver: Any, url: str) -> None:
    with serve(driver) as client:
        assert client.address() == url


def test_address_can_be_kept_back() -> None:
    driver = TcpNetwork(host="192.0.2.1", port=22, enable_address=False)
    with serve(driver) as client, pytest.raises(DriverInvalidArgument, match="enable_address: false"):
        client.address()


def test_drivers_without_address_say_so() -> None:
    with serve(EchoNetwork()) as client, pytest.raises(DriverMethodNotImplemented):
        client.address()


@pytest.mark.parametrize("port", [0, 65536, -1, "abc", True])
@pytest.mark.parametrize("kind", [TcpNetwork, UdpNetwork])
def test_port_out_of_range_is_a_configuration_error(kind: Any, port: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"port must be a whole number from 1 to 65535"):
        kind(host="127.0.0.1", port=port)


def test_udp_keeps_datagrams_apart(udp_echo_server: tuple[str, int]) -> None:
    host, port = udp_echo_server
    with serve(UdpNetwork(host=host, port=port)) as client, client.stream() as stream:
        for size in (1, 1000, 9000):
            stream.send(b"d" * size)
            assert stream.receive() == b"d" * size


def test_udp_peer_may_start_later(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serve(UdpNetwork(host="127.0.0.1", port=port)) as client, client.stream() as stream:
        stream.send(b"nobody hears this")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", port))
            peer.settimeout(60)
            stream.send(b"ping")
            data, sender = peer.recvfrom(100)
            while data != b"ping":
                data, sender = peer.recvfrom(100)
            peer.sendto(b"pong", sender)
            assert stream.receive() == b"pong"


def test_unix_carries_bytes(unix_echo_server: str) -> None:
    with serve(UnixNetwork(path=unix_echo_server)) as client, client.stream() as stream:
        stream.send(b"hello")
        assert receive_exactly(stream, 5) == b"hello"


def test_unix_path_without_server_is_told() -> None:
    assert "cannot connect to unix:/nonexistent/s.sock: no such file" in opening_error(
        UnixNetwork(path="/nonexistent/s.sock")
    )


def test_echo_keeps_messages_apart_and_ends() -> None:
    with serve(EchoNetwork()) as client, client.stream() as stream:
        stream.send(b"one")
        stream.send(b"two")
        assert stream.receive() == b"one"
        assert stream.receive() == b"two"
        stream.send_eof()
        with pytest.raises(anyio.EndOfStream):
            stream.receive()


@pytest.fixture
def websocket_server() -> Iterator[str]:
    """URL of a WebSocket server: echo, but "text" is answered with text and "close" with a close."""
    from websockets.sync.server import serve as serve_websockets

    def handle(conn: Any) -> None:
        for message in conn:
            if message == b"close":
                return
            conn.send("grüße" if message == b"text" else message)

    with serve_websockets(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host, port = server.socket.getsockname()[:2]
        yield f"ws://{host}:{port}/"
        server.shutdown()
        thread.join()


def test_websocket_keeps_messages_apart(websocket_server: str) -> None:
    with serve(WebsocketNetwork(url=websocket_server)) as client, client.stream() as stream:
        for message in (b"a", b"\x00\xff" * 1000, b"b" * 300_000):
            stream.send(message)
            assert receive_exactly(stream, len(message)) == message
        stream.send(b"text")
        assert stream.receive() == "grüße".encode()


def test_websocket_closed_by_the_server_ends_the_stream(websocket_server: str) -> None:
    with serve(WebsocketNetwork(url=websocket_server)) as client, client.stream() as stream:
        stream.send(b"close")
        with pytest.raises(anyio.EndOfStream):
            stream.receive()


def test_websocket_refused_is_told(closed_port: int, tcp_echo_server: tuple[str, int]) -> None:
    told = opening_error(WebsocketNetwork(url=f"ws://127.0.0.1:{closed_port}/"))
    assert f"cannot connect to ws://127.0.0.1:{closed_port}/" in told
    told = opening_error(WebsocketNetwork(url=f"ws://127.0.0.1:{tcp_echo_server[1]}/", connect_timeout=5))
    assert "cannot connect to ws://" in told


def test_websocket_url_of_another_kind_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="must start with ws:// or wss://"):
        WebsocketNetwork(url="http://127.0.0.1/")


def test_vsock_connects_over_loopback() -> None:
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    with listener:
        listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        listener.listen()
        port = listener.getsockname()[1]
        probe = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        probe.settimeout(0.5)
        with probe:
            try:
                probe.connect((1, port))
            except OSError as error:
                pytest.skip(f"this kernel has no vsock loopback: {error}")
            listener.accept()[0].close()
        with serve(VsockNetwork(cid=1, port=port)) as client, client.stream() as stream:
            peer, _ = listener.accept()
            with peer:
                stream.send(b"hi")
                assert peer.recv(2) == b"hi"


def test_vsock_without_peer_is_told() -> None:
    assert "cannot connect to vsock://77:1:" in opening_error(VsockNetwork(cid=77, port=1))


def list_names() -> str:
    """What dbus-send gets from the session bus of the environment."""
    return subprocess.run(
        [
            "dbus-send",
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.DBus",
            "/",
            "org.freedesktop.DBus.ListNames",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_dbus_client_points_programs_to_the_exporters_bus(
    session_bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session_bus)
    driver = DbusNetwork(kind="session")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    with serve(driver) as client:
        assert client.kind == "session"
        with client:
            assert os.environ["DBUS_SESSION_BUS_ADDRESS"].startswith("tcp:host=127.0.0.1,port=")
            assert "org.freedesktop.DBus" in list_names()
        assert os.environ["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/nonexistent"


def test_dbus_without_a_bus_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    assert "cannot connect to unix:/nonexistent/bus" in opening_error(DbusNetwork(kind="system"))


def test_dbus_kind_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="must be 'system' or 'session', found 'user'"):
        DbusNetwork(kind="user")  # type: ignore[arg-type]


def test_a_failed_connection_leaves_the_exporter_usable(closed_port: int) -> None:
    with serve(TcpNetwork(host="127.0.0.1", port=closed_port)) as client:
        for _ in range(3):
            with pytest.raises(DriverError), client.stream():
                pass
        assert client.address() == f"tcp://127.0.0.1:{closed_port}"


def test_a_websocket_whose_url_is_a_property_is_asked_for_it_when_a_stream_is_opened(
    websocket_server: str,
) -> None:
    asked: list[str] = []

    @dataclass(kw_only=True)
    class Console(WebsocketNetwork):
        @property
        def url(self) -> str:  # type: ignore[override]
            asked.append(websocket_server)
            return websocket_server

        @url.setter
        def url(self, value: str) -> None:
            """What the exporter file says does not count."""

    with serve(Console(url="")) as client:
        assert asked == []
        with client.stream() as stream:
            stream.send(b"over a property")
            assert stream.receive() == b"over a property"
    assert asked == [websocket_server]
