from __future__ import annotations

from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter_driver_network.dbus import SYSTEM_BUS, TcpBus, UnixBus, bus_address, parse_addresses


@pytest.mark.parametrize(
    ("address", "places"),
    [
        ("unix:path=/run/bus", [UnixBus("/run/bus")]),
        ("unix:path=/run/bus,guid=0123abcd", [UnixBus("/run/bus")]),
        ("unix:path=/tmp/a%2cb%20c", [UnixBus("/tmp/a,b c")]),
        ("unix:abstract=/tmp/dbus-X", [UnixBus("\0/tmp/dbus-X")]),
        ("tcp:host=127.0.0.1,port=1234", [TcpBus("127.0.0.1", 1234)]),
        ("tcp:port=1234,family=ipv4", [TcpBus("localhost", 1234)]),
        ("autolaunch:;unix:path=/a;tcp:host=b,port=2", [UnixBus("/a"), TcpBus("b", 2)]),
    ],
)
def test_address_gives_its_places_in_order(address: str, places: list[object]) -> None:
    assert parse_addresses(address) == places


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", "no unix: or tcp: transport"),
        ("autolaunch:scope=x", "no unix: or tcp: transport"),
        ("/run/bus", "expected transport:key=value"),
        ("unix:path", "expected key=value but found 'path'"),
        ("tcp:host=a", "tcp needs port=1..65535, found none"),
        ("tcp:host=a,port=99999", "found 99999"),
    ],
)
def test_bad_address_is_one_clear_error(address: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match="D-Bus address") as caught:
        parse_addresses(address)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_variable_wins() -> None:
    environ = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/s", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/y"}
    assert bus_address("session", environ) == "unix:path=/s"
    assert bus_address("system", environ) == "unix:path=/y"


def test_the_usual_places_without_the_variable(tmp_path: Path) -> None:
    assert bus_address("system", {}) == SYSTEM_BUS
    (tmp_path / "bus").touch()
    assert bus_address("session", {"XDG_RUNTIME_DIR": str(tmp_path)}) == f"unix:path={tmp_path}/bus"


def test_no_session_bus_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="dbus-run-session"):
        bus_address("session", {"XDG_RUNTIME_DIR": str(tmp_path)})
