"""Port forwards as pairs of keywords, on drivers that answer what they hear."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.utils import serve
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_network.driver import DbusNetwork, EchoNetwork

from JumpstarterLibrary.adapters import Context
from JumpstarterLibrary.consoles import Consoles
from JumpstarterLibrary.generation import driver_keywords
from JumpstarterLibrary.timeouts import Timeouts


@contextmanager
def connected(**children):
    """The keywords of the tree; what they have opened is closed at the end, as when disconnecting."""
    with serve(Composite(children=children)) as client, ExitStack() as cleanup:
        yield driver_keywords(
            client, lambda path: Context(path, Timeouts(), Consoles(), cleanup), ()
        ).keywords


@pytest.fixture
def keywords():
    with connected(network=EchoNetwork(), other=EchoNetwork()) as found:
        yield found


def echoed(address) -> bytes:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(60)
        sock.connect(address)
        sock.sendall(b"hello")
        return sock.recv(5)


def test_tcp_forward_is_there_between_its_keywords(keywords):
    address = keywords["Network Open Tcp Forward"]()
    assert echoed(address) == b"hello"
    keywords["Network Close Tcp Forward"]()
    with pytest.raises(ConnectionRefusedError):
        echoed(address)


def test_unix_forward_is_there_between_its_keywords(keywords, tmp_path):
    path = keywords["Network Open Unix Forward"](path=tmp_path / "socket")
    assert path == str(tmp_path / "socket")
    assert echoed(path) == b"hello"
    keywords["Network Close Unix Forward"]()
    assert not Path(path).exists()


@pytest.mark.parametrize("kind", ["Tcp", "Unix"])
def test_opening_and_closing_twice_are_as_good_as_once(keywords, kind):
    keywords[f"Close Network {kind} Forward"]()
    first = keywords[f"Open Network {kind} Forward"]()
    assert keywords[f"Open Network {kind} Forward"]() == first
    assert echoed(first) == b"hello"
    keywords[f"Close Network {kind} Forward"]()
    keywords[f"Close Network {kind} Forward"]()
    again = keywords[f"Open Network {kind} Forward"]()
    assert echoed(again) == b"hello"


def test_forward_to_another_place_takes_the_place_of_the_first(keywords, tmp_path):
    first = keywords["Network Open Unix Forward"](path=tmp_path / "first")
    second = keywords["Network Open Unix Forward"](path=tmp_path / "second")
    assert echoed(second) == b"hello"
    assert not Path(first).exists()


def test_drivers_have_forwards_of_their_own(keywords):
    first = keywords["Network Open Tcp Forward"]()
    second = keywords["Other Open Tcp Forward"]()
    assert first != second
    keywords["Network Close Tcp Forward"]()
    assert echoed(second) == b"hello"


def test_port_that_is_taken_is_told_and_another_can_be_opened(keywords):
    taken = keywords["Other Open Tcp Forward"]()[1]
    with pytest.raises(ConnectionError, match=rf"cannot listen on 127.0.0.1:{taken}: address already in use"):
        keywords["Network Open Tcp Forward"](port=taken)
    assert echoed(keywords["Network Open Tcp Forward"]()) == b"hello"


def test_disconnecting_closes_all_forwards():
    with connected(network=EchoNetwork()) as keywords:
        address = keywords["Network Open Tcp Forward"]()
        path = keywords["Network Open Unix Forward"]()
    with pytest.raises(ConnectionRefusedError):
        echoed(address)
    assert not Path(path).exists()


def test_bus_is_in_the_environment_between_its_keywords(monkeypatch):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    with connected(bus=DbusNetwork(kind="session")) as keywords:
        address = keywords["Bus Open Environment"]()
        assert address.startswith("tcp:host=127.0.0.1,port=")
        assert keywords["Bus Open Environment"]() == address
        assert os.environ["DBUS_SESSION_BUS_ADDRESS"] == address
        keywords["Bus Close Environment"]()
        assert os.environ["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/nowhere"
        keywords["Open Bus Environment"]()
    assert os.environ["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/nowhere"
