"""The network of an emulated board, as drivers: ports that lead into the guest, and its vsock."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from anyio.abc import ByteStream, ObjectStream
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError
from jumpstarter.driver import Driver, exportstream
from jumpstarter_driver_network.driver import TcpNetwork, UdpNetwork

from .machine import Hostfwd

_VSOCK = "/dev/vhost-vsock"


@dataclass(kw_only=True)
class ForwardedTcp(TcpNetwork):
    """A TCP port of the guest. `port` is the host's, 0 while it is not known: QEMU chooses it at power-on."""

    port: int = 0

    def __post_init__(self) -> None:
        # Not TcpNetwork's own: it refuses port 0.
        Driver.__post_init__(self)

    def _url(self) -> str:
        _require_port(self.port, "TCP")
        return super()._url()

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ByteStream | ObjectStream[bytes]]:
        """Open a TCP connection to the guest. Raises `ConnectionError` when the board is off."""
        _require_port(self.port, "TCP")
        async with TcpNetwork.connect(self) as stream:
            yield stream


@dataclass(kw_only=True)
class ForwardedUdp(UdpNetwork):
    """A UDP port of the guest; see `ForwardedTcp`."""

    port: int = 0

    def __post_init__(self) -> None:
        Driver.__post_init__(self)

    def _url(self) -> str:
        _require_port(self.port, "UDP")
        return super()._url()

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ByteStream | ObjectStream[bytes]]:
        """Give a stream of datagrams. Raises `ConnectionError` when the board is off."""
        _require_port(self.port, "UDP")
        async with UdpNetwork.connect(self) as stream:
            yield stream


def _require_port(port: int, protocol: str) -> None:
    if not port:
        raise ConnectionError(
            f"this {protocol} port of the board is forwarded while it is on; power it on first"
        )


def forward_driver(forward: Hostfwd) -> ForwardedTcp | ForwardedUdp:
    """The driver that leads to the host's end of *forward*."""
    if forward.protocol == "udp":
        return ForwardedUdp(host=forward.hostaddr, port=forward.hostport)
    return ForwardedTcp(host=forward.hostaddr, port=forward.hostport)


def checked_forward(name: str, value: Hostfwd | dict[str, object]) -> Hostfwd:
    """*value*, which a configuration gives as a mapping. Raises ConfigurationError, which names the key."""
    key = f"hostfwd.{name}"
    if isinstance(value, dict):
        try:
            value = Hostfwd(**value)  # type: ignore[arg-type]  # checked below
        except TypeError as error:
            raise ConfigurationError(
                f"{key}: expected protocol, hostaddr, hostport and guestport: {error}"
            ) from None
    if value.protocol not in {"tcp", "udp"}:
        raise ConfigurationError(f"{key}.protocol: found {value.protocol!r}, expected tcp or udp")
    for port_key, lowest in (("hostport", 0), ("guestport", 1)):
        port = getattr(value, port_key)
        if isinstance(port, bool) or not isinstance(port, int) or not lowest <= port <= 65535:
            raise ConfigurationError(
                f"{key}.{port_key}: found {port!r}, expected a whole number from {lowest} to 65535"
            )
    if re.fullmatch(r"[0-9.]*", value.hostaddr) is None:
        raise ConfigurationError(f"{key}.hostaddr: found {value.hostaddr!r}, expected an IPv4 address")
    return value


def chosen_ports(usernet: str) -> dict[tuple[str, int], int]:
    """Host ports by protocol and guest port, from the text of QEMU's ``info usernet``."""
    rows = re.findall(
        r"^\s*(TCP|UDP)\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)", usernet, re.MULTILINE
    )
    return {(protocol.lower(), int(guest)): int(host) for protocol, host, guest in rows}


def vsock_works() -> bool:
    """Whether QEMU can give a guest a vsock here: the device is there, and may be opened."""
    try:
        os.close(os.open(_VSOCK, os.O_RDWR))
    except OSError:
        return False
    return True


def vsock_cid() -> int:
    """A context id that no other guest of this machine is likely to have."""
    # Ids below 3 are reserved (vsock(7)); a random one, as boards of several exporters share the machine.
    return 3 + int.from_bytes(os.urandom(3), "big")
