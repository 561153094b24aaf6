from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.utils import serve
from jumpstarter_driver_network.adapters import (
    FabricAdapter,
    NovncAdapter,
    PexpectAdapter,
    TcpPortforwardAdapter,
    UnixPortforwardAdapter,
)
from jumpstarter_driver_network.driver import EchoNetwork, TcpNetwork


@pytest.fixture
def tcp_client(tcp_echo_server: tuple[str, int]) -> Iterator[Any]:
    """Client of a TcpNetwork driver in front of an echo server."""
    with serve(TcpNetwork(host=tcp_echo_server[0], port=tcp_echo_server[1])) as client:
        yield client


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while data := sock.recv(1 << 20):
        parts.append(data)
    return b"".join(parts)


def exchange(address: Any, payload: bytes) -> bytes:
    """Send *payload*, end sending, return everything that comes back."""
    with socket.create_connection(address, timeout=60) as sock:
        sender = threading.Thread(target=lambda: (sock.sendall(payload), sock.shutdown(socket.SHUT_WR)))
        sender.start()
        answer = read_all(sock)
        sender.join()
    return answer


def test_client_is_taken_by_position_and_by_keyword(tcp_client: Any) -> None:
    with TcpPortforwardAdapter(tcp_client, local_port=0) as address:
        assert exchange(address, b"hello") == b"hellobye"
    with TcpPortforwardAdapter(client=tcp_client, local_host="127.0.0.1", method="connect") as (host, port):
        assert host == "127.0.0.1"
        assert exchange((host, port), b"hello") == b"hellobye"


def test_one_adapter_can_be_entered_again(tcp_client: Any) -> None:
    adapter = TcpPortforwardAdapter(client=tcp_client)
    for _ in range(2):
        with adapter as address:
            assert exchange(address, b"x") == b"xbye"


def test_large_data_arrives_whole_and_half_close_works_both_ways(tcp_client: Any) -> None:
    payload = os.urandom(1 << 20) * 24
    with TcpPortforwardAdapter(client=tcp_client) as address:
        assert exchange(address, payload) == payload + b"bye"


def test_many_connections_at_once(tcp_client: Any) -> None:
    payloads = [bytes([number]) * 50_000 for number in range(30)]
    with TcpPortforwardAdapter(client=tcp_client) as address, ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda payload: exchange(address, payload), payloads))
    assert answers == [payload + b"bye" for payload in payloads]


def test_remote_that_speaks_first_and_ends(closed_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"220 ready\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with (
            serve(TcpNetwork(host="127.0.0.1", port=server.getsockname()[1])) as client,
            TcpPortforwardAdapter(client=client) as address,
            socket.create_connection(address, timeout=60) as sock,
        ):
            assert read_all(sock) == b"220 ready\r\n"
        thread.join()


def test_refused_remote_resets_the_local_connection_and_is_logged(
    closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serve(TcpNetwork(host="127.0.0.1", port=closed_port)) as client,
        caplog.at_level(logging.WARNING),
        TcpPortforwardAdapter(client=client) as address,
        socket.create_connection(address, timeout=60) as sock,
        pytest.raises(ConnectionResetError),
    ):
        read_all(sock)
    assert "connection refused" in caplog.text


def test_slow_reader_holds_the_writer_back(tcp_client: Any) -> None:
    """An echo that nobody reads must stop taking data before all of it is in memory somewhere."""
    chunk = bytes(1 << 20)
    limit = 256
    with TcpPortforwardAdapter(client=tcp_client) as address, socket.create_connection(address) as sock:
        sock.settimeout(1.0)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < limit:
                sock.sendall(chunk)
                sent += 1
    assert sent < limit


def test_exit_ends_open_connections_at_once(tcp_client: Any) -> None:
    with contextlib.ExitStack() as stack:
        adapter = TcpPortforwardAdapter(client=tcp_client)
        address = adapter.__enter__()
        socks = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(5)]
        for sock in socks:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        adapter.__exit__(None, None, None)
        for sock in socks:
            with contextlib.suppress(ConnectionResetError):
                assert read_all(sock) in (b"", b"bye")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=60)
    ours = ("forward", "connection", "relay", "uplink")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(ours)]


def test_taken_port_is_one_clear_error(tcp_client: Any, tcp_echo_server: tuple[str, int]) -> None:
    port = tcp_echo_server[1]
    with pytest.raises(ConnectionError, match=rf"cannot listen on 127.0.0.1:{port}: address already in use"):
        TcpPortforwardAdapter(client=tcp_client, local_port=port).__enter__()


def test_unix_forward_is_private_and_removed(tcp_client: Any) -> None:
    with UnixPortforwardAdapter(client=tcp_client) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(str(path))
            sock.sendall(b"hello")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"hellobye"
    assert not path.parent.exists()


def test_unix_forward_at_a_given_path(tcp_client: Any, tmp_path: Path) -> None:
    wanted = tmp_path / "s"
    with UnixPortforwardAdapter(client=tcp_client, path=wanted) as path:
        assert path == wanted
        assert path.is_socket()
        with pytest.raises(ConnectionError, match="address already in use"):
            UnixPortforwardAdapter(client=tcp_client, path=wanted).__enter__()
    assert not wanted.exists()


def test_pexpect_session() -> None:
    import pexpect

    with serve(EchoNetwork()) as client, PexpectAdapter(client=client) as session:
        session.sendline("Hello, world!")
        assert session.expect(["something else", "Hello, world!"], timeout=60) == 1
        session.send(b"\x00\xff")
        session.expect_exact(b"\x00\xff", timeout=60)
        with pytest.raises(pexpect.TIMEOUT):
            session.expect("never", timeout=0.05)


def test_pexpect_session_sees_the_end() -> None:
    import pexpect

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        serve(TcpNetwork(host="127.0.0.1", port=server.getsockname()[1])) as client,
        PexpectAdapter(client=client) as session,
    ):
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"last words")
        session.expect_exact("last words", timeout=60)
        session.expect(pexpect.EOF, timeout=60)


def test_novnc_carries_the_vnc_stream(tcp_client: Any) -> None:
    from websockets.sync.client import connect

    with NovncAdapter(client=tcp_client, encrypt=False) as url:
        assert url.startswith("https://novnc.com/noVNC/vnc.html?")
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        assert query["encrypt"] == "0"
        assert query["autoconnect"] == "1"
        with connect(f"ws://{query['host']}:{query['port']}/websockify", subprotocols=["binary"]) as viewer:  # type: ignore[list-item]
            viewer.send(b"RFB 003.008\n")
            assert viewer.recv(timeout=60) == b"RFB 003.008\n"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://novnc.com",
        "https://novnc.com.evil.example",
        "null",
        "http://127.0.0.1",
    ],
)
def test_novnc_refuses_pages_of_others(tcp_client: Any, origin: str) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with NovncAdapter(client=tcp_client, origins=["http://viewer.lan:6080"]) as url:
        query = parse_qs(urlsplit(url).query)
        address = f"ws://{query['host'][0]}:{query['port'][0]}/"
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin=origin):  # type: ignore[arg-type]
            pass
        for own in ("https://novnc.com", "http://viewer.lan:6080", None):
            with connect(address, origin=own) as viewer:  # type: ignore[arg-type]
                viewer.send(b"x")
                assert viewer.recv(timeout=60) == b"x"


def test_novnc_exit_ends_an_open_viewer(tcp_client: Any) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    adapter = NovncAdapter(client=tcp_client)
    query = parse_qs(urlsplit(adapter.__enter__()).query)
    assert query["encrypt"] == ["1"]
    with connect(f"ws://{query['host'][0]}:{query['port'][0]}/") as viewer:
        viewer.send(b"x")
        assert viewer.recv(timeout=60) == b"x"
        adapter.__exit__(None, None, None)
        with pytest.raises(ConnectionClosed):
            viewer.recv(timeout=60)


def test_novnc_tells_the_viewer_that_the_server_is_unreachable(closed_port: int) -> None:
    from websockets.exceptions import ConnectionClosedError
    from websockets.sync.client import connect

    with serve(TcpNetwork(host="127.0.0.1", port=closed_port)) as client, NovncAdapter(client=client) as url:
        query = parse_qs(urlsplit(url).query)
        with (
            connect(f"ws://{query['host'][0]}:{query['port'][0]}/") as viewer,
            pytest.raises(ConnectionClosedError, match="the VNC server cannot be reached"),
        ):
            viewer.recv(timeout=60)


def serve_ssh(listener: socket.socket) -> None:
    """A real SSH server for one connection and one command: it answers with the command itself."""
    import paramiko

    class Access(paramiko.ServerInterface):
        def check_auth_password(self, username: str, password: str) -> int:
            good = (username, password) == ("root", "secret")
            return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

        def check_channel_request(self, kind: str, chanid: int) -> int:
            return paramiko.OPEN_SUCCEEDED

        def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
            channel.sendall(b"ran " + command + b"\n")
            channel.send_exit_status(0)
            channel.shutdown_write()
            return True

    peer, _ = listener.accept()
    transport = paramiko.Transport(peer)
    transport.add_server_key(paramiko.ECDSAKey.generate())
    transport.start_server(server=Access())
    transport.join(60)


def test_entering_that_fails_leaves_nothing_open(tcp_client: Any) -> None:
    pytest.importorskip("fabric")
    with pytest.raises(AttributeError):
        FabricAdapter(client=tcp_client, user="root", config="not a config").__enter__()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("forward")]


def test_fabric_runs_a_command() -> None:
    pytest.importorskip("fabric")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_ssh, args=(listener,))
        thread.start()
        kwargs = {"password": "secret", "allow_agent": False, "look_for_keys": False}
        with (
            serve(TcpNetwork(host="127.0.0.1", port=listener.getsockname()[1])) as client,
            FabricAdapter(client=client, user="root", connect_kwargs=kwargs) as connection,
        ):
            assert connection.run("uname", hide=True, in_stream=False).stdout == "ran uname\n"
        thread.join(60)
        assert not thread.is_alive()
