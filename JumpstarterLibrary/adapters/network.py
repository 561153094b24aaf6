"""Network: a port forward is opened by one keyword and closed by another, for Robot has no ``with``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from robot.api import logger

from .base import Adapter, Context


class _Opened:
    """A context manager that is open, and with what it was asked for.

    What must hold: at most one is open; asking for the same again gives what is there, asking for another
    closes it first.
    """

    def __init__(self, cleanup: ExitStack) -> None:
        self._stack = cleanup.enter_context(ExitStack())
        self._request: Any = None
        self._value: Any = None

    def open(self, adapter: type, *request: Any) -> Any:
        """Enter ``adapter(*request)``, unless it is open already; what entering gave."""
        if self._request != request:
            self.close()
            self._value = self._stack.enter_context(adapter(*request))
            self._request = request
        return self._value

    def close(self) -> None:
        """Leave what is open, if anything is."""
        self._request = self._value = None
        self._stack.close()


class NetworkAdapter(Adapter):
    """Reflection, with the adapters for port forwards as pairs of keywords."""

    def __init__(self, client: Any, context: Context) -> None:
        super().__init__(client, context)
        self._tcp = _Opened(context.cleanup)
        self._unix = _Opened(context.cleanup)

    def open_tcp_forward(self, *, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Forward a local TCP port to the peer, for programs that connect by themselves.

        Each connection to the port gets one to the peer. The port is there until the keyword that closes it,
        or until the exporter is disconnected. A forward that is open already is kept; one to another port is
        closed first.

        Args:
            host: The local address to listen on; any but a loopback address opens the port to the network.
            port: The local port to listen on, 0 for any free one.

        Returns:
            Host and port as bound.
        """
        from jumpstarter_driver_network.adapters import TcpPortforwardAdapter

        bound: tuple[str, int] = self._tcp.open(TcpPortforwardAdapter, self._client, host, port)
        logger.info(f"{self._context.name} is at {bound[0]} port {bound[1]}")
        return bound

    def close_tcp_forward(self) -> None:
        """Close the local TCP port and the connections through it. Does nothing when it is not open."""
        self._tcp.close()

    def open_unix_forward(self, *, path: Path | None = None) -> str:
        """Forward a local unix socket to the peer, for programs that connect by themselves.

        The socket is there until the keyword that closes it, or until the exporter is disconnected. A forward
        that is open already is kept; one to another path is closed first.

        Args:
            path: The socket, which must not exist yet; by default one in a new private directory.

        Returns:
            The path of the socket.
        """
        from jumpstarter_driver_network.adapters import UnixPortforwardAdapter

        bound = str(self._unix.open(UnixPortforwardAdapter, self._client, path))
        logger.info(f"{self._context.name} is at {bound}")
        return bound

    def close_unix_forward(self) -> None:
        """Remove the local unix socket and close the connections through it. Does nothing when it is not
        open.
        """
        self._unix.close()


class DbusAdapter(NetworkAdapter):
    """The same, and the exporter's bus as the bus of Robot's process."""

    def __init__(self, client: Any, context: Context) -> None:
        super().__init__(client, context)
        self._environment = _Opened(context.cleanup)

    def open_environment(self) -> str:
        """Make the exporter's bus the one that programs find which Robot starts.

        ``DBUS_SYSTEM_BUS_ADDRESS`` or ``DBUS_SESSION_BUS_ADDRESS`` is set until the keyword that closes the
        environment, or until the exporter is disconnected.

        Returns:
            The D-Bus address.
        """
        from jumpstarter_driver_network.adapters import DbusAdapter as BusForward

        address = str(self._environment.open(BusForward, self._client))
        logger.info(f"{self._context.name} is at {address}")
        return address

    def close_environment(self) -> None:
        """Put the variable back. Does nothing when the environment is not open."""
        self._environment.close()
