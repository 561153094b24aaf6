"""The commands as processes of their own, as `j` runs them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jumpstarter.common.utils import serve
from jumpstarter_driver_network.driver import EchoNetwork, TcpNetwork, WebsocketNetwork

RUN = """
import sys
from jumpstarter.common.utils import serve
from jumpstarter_driver_network.driver import EchoNetwork
with serve(EchoNetwork()) as client:
    client.cli()(sys.argv[1:])
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command; what still runs at the end is killed."""
    with ExitStack() as stack:

        def run(*arguments: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RUN, *arguments],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield run


def talk(sock: socket.socket) -> None:
    sock.settimeout(60)
    sock.sendall(b"hello")
    assert sock.recv(5, socket.MSG_WAITALL) == b"hello"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_forward_tcp_works_until_a_signal_and_ends_at_once(start: Start, number: int) -> None:
    process = start("forward-tcp", "0")
    assert process.stdout is not None
    host, _, port = process.stdout.readline().strip().rpartition(":")
    assert host == "127.0.0.1"
    with socket.create_connection((host, int(port))) as sock:
        talk(sock)
        process.send_signal(number)
        # An open connection must not hold it.
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_forward_tcp_on_another_address(start: Start) -> None:
    process = start("forward-tcp", "--address", "127.0.0.2", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("127.0.0.2:")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


@pytest.mark.parametrize("given", [True, False])
def test_forward_unix_works_until_a_signal_and_removes_its_socket(
    start: Start, tmp_path: Path, given: bool
) -> None:
    process = start("forward-unix", *([str(tmp_path / "s")] if given else []))
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    assert not given or path == tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        talk(sock)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not path.exists()


def invoke(driver: Any, *arguments: str) -> Any:
    with serve(driver) as client:
        return CliRunner().invoke(client.cli(), arguments)


@pytest.mark.parametrize("port", ["99999", "-1", "abc"])
def test_port_out_of_range_is_a_usage_error(port: str) -> None:
    result = invoke(EchoNetwork(), "forward-tcp", "--", port)
    assert result.exit_code == 2
    assert "Invalid value for 'PORT'" in result.output


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ([], "127.0.0.1:8099\n"),
        (["--host"], "127.0.0.1\n"),
        (["--port"], "8099\n"),
        (["--host", "--port"], "127.0.0.1:8099\n"),
    ],
)
def test_address(options: list[str], printed: str) -> None:
    result = invoke(TcpNetwork(host="127.0.0.1", port=8099), "address", *options)
    assert (result.exit_code, result.output) == (0, printed)


def test_address_of_ipv6_and_of_a_url_without_port() -> None:
    assert invoke(TcpNetwork(host="2001:db8::1", port=22), "address").output == "[2001:db8::1]:22\n"
    assert invoke(WebsocketNetwork(url="wss://example.invalid/x"), "address", "--port").output == "443\n"
