"""Addresses of D-Bus buses, as in the D-Bus specification, "Server Addresses".

An address is a list of ``transport:key=value,key=value`` joined by ``;``, to be tried in turn. Values escape
bytes as ``%xx``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from jumpstarter.common.exceptions import ConfigurationError

BusKind = Literal["system", "session"]

VARIABLES: Mapping[str, str] = {"system": "DBUS_SYSTEM_BUS_ADDRESS", "session": "DBUS_SESSION_BUS_ADDRESS"}
SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"


@dataclass(frozen=True)
class UnixBus:
    """A bus on a unix socket; an abstract one starts with a NUL byte."""

    path: str


@dataclass(frozen=True)
class TcpBus:
    """A bus on a TCP port."""

    host: str
    port: int


def bus_address(kind: BusKind, environ: Mapping[str, str]) -> str:
    """The address of the bus of *kind*: its variable, else the well-known place.

    Raises:
        ConfigurationError: there is no address for the session bus
    """
    variable = VARIABLES[kind]
    if address := environ.get(variable):
        return address
    if kind == "system":
        return SYSTEM_BUS
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if os.path.exists(f"{runtime}/bus"):  # noqa: PTH110 - an address is text
        return f"unix:path={runtime}/bus"
    raise ConfigurationError(
        f"no session bus: {variable} is not set and {runtime}/bus does not exist; "
        "start the exporter in a session with a bus, for example with dbus-run-session"
    )


def parse_addresses(address: str) -> list[UnixBus | TcpBus]:
    """The places of *address* that can be connected to, in order.

    Raises:
        ConfigurationError: the address is malformed, or holds no unix or tcp transport
    """
    found = [place for part in address.split(";") if part and (place := _parse_one(part, address))]
    if not found:
        raise ConfigurationError(f"D-Bus address {address!r}: no unix: or tcp: transport in it")
    return found


def _parse_one(part: str, address: str) -> UnixBus | TcpBus | None:
    transport, colon, rest = part.partition(":")
    if not colon:
        raise ConfigurationError(
            f"D-Bus address {address!r}: expected transport:key=value,... but found {part!r}"
        )
    keys = _keys(rest, address)
    if transport == "unix" and "path" in keys:
        return UnixBus(keys["path"])
    if transport == "unix" and "abstract" in keys:
        return UnixBus("\0" + keys["abstract"])
    if transport == "tcp":
        port = keys.get("port", "")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(
                f"D-Bus address {address!r}: tcp needs port=1..65535, found {port or 'none'}"
            )
        return TcpBus(keys.get("host", "localhost"), int(port))
    return None


def _keys(rest: str, address: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for item in rest.split(",") if rest else []:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise ConfigurationError(f"D-Bus address {address!r}: expected key=value but found {item!r}")
        keys[key] = unquote(value)
    return keys
