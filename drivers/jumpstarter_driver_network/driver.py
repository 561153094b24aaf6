"""Network drivers: each gives its client a stream to one place that the exporter can reach."""

from __future__ import annotations

import os
import socket
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from anyio import to_thread
from anyio.abc import AnyByteStream
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.streams.bridge import PipeStream
from jumpstarter.streams.pipe import Pipe

from .dbus import TcpBus, bus_address, parse_addresses
from .sockets import DatagramStream, SocketByteStream, connect_inet, connect_socket
from .websocket import WebsocketClientStream, connect_websocket, require_websockets

__all__ = [
    "DbusNetwork",
    "EchoNetwork",
    "NetworkInterface",
    "TcpNetwork",
    "UdpNetwork",
    "UnixNetwork",
    "VsockNetwork",
    "WebsocketClientStream",
    "WebsocketNetwork",
]

CONNECT_TIMEOUT = 15.0
"""Seconds that reaching a server may take, unless the driver says otherwise."""


class NetworkInterface(metaclass=ABCMeta):
    """What a network driver offers: streams to one peer."""

    @classmethod
    def client(cls) -> str:
        """The import path of the client class."""
        return "jumpstarter_driver_network.client.NetworkClient"

    @abstractmethod
    def connect(self) -> AbstractAsyncContextManager[AnyByteStream]:
        """Open a connection to the peer, as a context manager that gives its stream."""


class _Addressed:
    """The exported `address` of drivers whose peer can be reached without the exporter."""

    enable_address: bool

    def _url(self) -> str:
        raise NotImplementedError

    @export
    def address(self) -> str:
        """The peer's address as a URL, for instance ``tcp://192.0.2.7:22``.

        Raises:
            ValueError: the exporter's configuration sets ``enable_address: false``
        """
        if not self.enable_address:
            raise ValueError(
                "the address is not given away: the exporter's configuration has enable_address: false"
            )
        return self._url()


@dataclass(kw_only=True)
class TcpNetwork(_Addressed, NetworkInterface, Driver):
    """A TCP server that the exporter can reach.

    Args:
        host: name or address of the server
        port: its port, 1 to 65535
        enable_address: whether clients may ask for the address, to connect without the exporter
        connect_timeout: seconds that connecting may take
    """

    host: str
    port: int
    enable_address: bool = True
    connect_timeout: float = CONNECT_TIMEOUT

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_port(self, self.port)

    def _url(self) -> str:
        return f"tcp://{_url_host(self.host)}:{self.port}"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AnyByteStream]:
        """Open a TCP connection. Raises `ConnectionError` when the server cannot be reached."""
        self.logger.debug("connecting to tcp://%s:%s", self.host, self.port)
        sock = await connect_inet("tcp", self.host, self.port, socket.SOCK_STREAM, self.connect_timeout)
        async with SocketByteStream(sock) as stream:
            yield stream


@dataclass(kw_only=True)
class UdpNetwork(_Addressed, NetworkInterface, Driver):
    """A UDP peer that the exporter can reach; one datagram is one message of the stream.

    Args:
        host: name or address of the peer
        port: its port, 1 to 65535
        enable_address: whether clients may ask for the address
    """

    host: str
    port: int
    enable_address: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_port(self, self.port)

    def _url(self) -> str:
        return f"udp://{_url_host(self.host)}:{self.port}"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AnyByteStream]:
        """Give a stream of datagrams. Raises `ConnectionError` when the name cannot be resolved."""
        sock = await connect_inet("udp", self.host, self.port, socket.SOCK_DGRAM, CONNECT_TIMEOUT)
        async with DatagramStream(sock, self._refused) as stream:
            yield stream

    def _refused(self) -> None:
        self.logger.warning("udp://%s:%s refused a datagram: nothing listens there yet", self.host, self.port)


@dataclass(kw_only=True)
class UnixNetwork(NetworkInterface, Driver):
    """A server on a unix socket of the exporter's machine.

    Args:
        path: path of the socket; it need not exist before somebody connects
    """

    path: str

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AnyByteStream]:
        """Open a connection. Raises `ConnectionError` when nothing listens on the path."""
        path = os.fspath(self.path)
        sock = await connect_socket(socket.AF_UNIX, path, f"unix:{path}", CONNECT_TIMEOUT)
        async with SocketByteStream(sock) as stream:
            yield stream


@dataclass(kw_only=True)
class EchoNetwork(NetworkInterface, Driver):
    """A peer that answers every message with the same message; for tests and for learning."""

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AnyByteStream]:
        """Give a stream that returns what is sent to it, until the end of sending."""
        # One bounded pipe for both ends: a sender that never reads has to wait.
        pipe = Pipe()
        async with PipeStream(pipe, pipe) as stream:
            yield stream


@dataclass(kw_only=True)
class WebsocketNetwork(_Addressed, NetworkInterface, Driver):
    """A WebSocket server that the exporter can reach; needs the extra ``network``.

    Args:
        url: ``ws://`` or ``wss://`` URL of the server
        enable_address: whether clients may ask for the URL
        connect_timeout: seconds that connecting may take
    """

    url: str
    enable_address: bool = True
    connect_timeout: float = CONNECT_TIMEOUT

    def __post_init__(self) -> None:
        super().__post_init__()
        # A subclass may find its URL out when a stream is opened, by a property.
        if not isinstance(getattr(type(self), "url", None), property):
            _check_websocket(self, self.url)
        require_websockets()

    def _url(self) -> str:
        return self.url

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AnyByteStream]:
        """Open a WebSocket. Raises `ConnectionError` when the server cannot be reached or refuses."""
        url = await to_thread.run_sync(self._url)
        _check_websocket(self, url)
        async with connect_websocket(url, self.connect_timeout) as stream:
            yield stream


def _check_websocket(driver: Driver, url: str) -> None:
    if not url.startswith(("ws://", "wss://")):
        raise ConfigurationError(
            f"{type(driver).__name__}: url must start with ws:// or wss://, found {url!r}"
        )


@dataclass(kw_only=True)
class VsockNetwork(NetworkInterface, Driver):
    """A server in a virtual machine, or on its host, reached over vsock (Linux, see vsock(7)).

    Args:
        cid: context id of the machine (2 is the host, guests start at 3)
        port: its vsock port, a 32-bit number
    """

    cid: int
    port: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(socket, "AF_VSOCK"):
            raise ConfigurationError("VsockNetwork: this system has no vsock sockets; it needs Linux")

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AnyByteStream]:
        """Open a connection. Raises `ConnectionError` when the machine or its port does not answer."""
        address: Any = (self.cid, self.port)
        sock = await connect_socket(
            socket.AF_VSOCK, address, f"vsock://{self.cid}:{self.port}", CONNECT_TIMEOUT
        )
        async with SocketByteStream(sock) as stream:
            yield stream


@dataclass(kw_only=True)
class DbusNetwork(NetworkInterface, Driver):
    """The D-Bus system or session bus of the exporter's machine.

    The bus sees the exporter's user as the peer. File descriptors cannot be passed over it.

    Args:
        kind: ``system`` or ``session``. The address is taken from ``DBUS_SYSTEM_BUS_ADDRESS`` or
            ``DBUS_SESSION_BUS_ADDRESS`` of the exporter, else from the usual place.
    """

    kind: Literal["system", "session"]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in ("system", "session"):
            raise ConfigurationError(f"DbusNetwork: kind must be 'system' or 'session', found {self.kind!r}")
        # Read early, so that a wrong address stops the exporter's start and not a test.
        self._places = parse_addresses(bus_address(self.kind, os.environ))

    @classmethod
    def client(cls) -> str:
        """The import path of the client class."""
        return "jumpstarter_driver_network.client.DbusNetworkClient"

    def extra_labels(self) -> dict[str, str]:
        """The kind of the bus, for the client."""
        return {"jumpstarter.dev/dbusnetwork/kind": self.kind}

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AnyByteStream]:
        """Open a connection to the bus. Raises `ConnectionError` when no address of it answers."""
        async with SocketByteStream(await self._connect_any()) as stream:
            yield stream

    async def _connect_any(self) -> socket.socket:
        failure: ConnectionError | None = None
        for place in self._places:
            try:
                if isinstance(place, TcpBus):
                    return await connect_inet(
                        "tcp", place.host, place.port, socket.SOCK_STREAM, CONNECT_TIMEOUT
                    )
                shown = place.path.replace("\0", "@", 1)
                return await connect_socket(socket.AF_UNIX, place.path, f"unix:{shown}", CONNECT_TIMEOUT)
            except ConnectionError as error:
                failure = error
        raise failure or ConnectionError(f"the {self.kind} bus has no address")


def _check_port(driver: Driver, port: int) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise ConfigurationError(
            f"{type(driver).__name__}: port must be a whole number from 1 to 65535, found {port!r}"
        )


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
