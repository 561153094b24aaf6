"""Clients of the network drivers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.common.interrupts import Flag, handling

if TYPE_CHECKING:
    from types import TracebackType

    from .adapters import DbusAdapter

KIND_LABEL = "jumpstarter.dev/dbusnetwork/kind"


@dataclass(kw_only=True)
class NetworkClient(DriverClient):
    """A stream to one peer that the exporter can reach: see `stream`, `open_stream` and the adapters."""

    def address(self) -> str:
        """The peer's address as a URL, to connect to it without the exporter, for instance
        ``tcp://192.0.2.7:22``.

        Raises:
            DriverInvalidArgument: the exporter's configuration keeps the address to itself
            DriverMethodNotImplemented: the driver has no address (echo, unix, vsock, D-Bus)
        """
        return str(self.call("address"))

    def cli(self) -> click.Group:
        """The commands ``forward-tcp``, ``forward-unix`` and ``address``."""

        @driver_click_group(self)
        def base() -> None:
            """Network connection"""

        base.add_command(_forward_tcp(self))
        base.add_command(_forward_unix(self))
        base.add_command(_address(self))
        return base


@dataclass(kw_only=True)
class DbusNetworkClient(NetworkClient):
    """The exporter's D-Bus system or session bus.

    As a context manager it points this process (and its children) to that bus: ``DBUS_SYSTEM_BUS_ADDRESS`` or
    ``DBUS_SESSION_BUS_ADDRESS`` is set while the context lasts.
    """

    _adapter: DbusAdapter | None = field(init=False, default=None, repr=False)

    @property
    def kind(self) -> str:
        """``system`` or ``session``."""
        return self.labels[KIND_LABEL]

    def __enter__(self) -> DbusNetworkClient:
        from .adapters import DbusAdapter

        adapter = DbusAdapter(self)
        adapter.__enter__()
        self._adapter = adapter
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            adapter.__exit__(kind, value, trace)


def _forward_tcp(client: NetworkClient) -> click.Command:
    @click.command("forward-tcp")
    @click.option("--address", default="localhost", show_default=True, help="Local address to listen on.")
    @click.argument("port", type=click.IntRange(0, 65535))
    def forward_tcp(address: str, port: int) -> None:
        """Forward a local TCP port to the peer until Ctrl+C.

        PORT is the local port to listen on, 0 for any free one. The address listened on is printed.
        """
        from .adapters import TcpPortforwardAdapter

        with until_interrupted() as stop, TcpPortforwardAdapter(client, address, port) as (host, bound):
            click.echo(f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}")
            stop.wait()

    return forward_tcp


def _forward_unix(client: NetworkClient) -> click.Command:
    @click.command("forward-unix")
    @click.argument("path", type=click.Path(), required=False)
    def forward_unix(path: str | None) -> None:
        """Forward a local unix socket to the peer until Ctrl+C.

        PATH is the socket to listen on, which must not exist yet; without it a new one is made under
        $XDG_RUNTIME_DIR or the directory for temporary files. The path is printed.
        """
        from .adapters import UnixPortforwardAdapter

        with until_interrupted() as stop, UnixPortforwardAdapter(client, path) as bound:
            click.echo(bound)
            stop.wait()

    return forward_unix


def _address(client: NetworkClient) -> click.Command:
    @click.command("address")
    @click.option("--host", is_flag=True, help="Print the host only.")
    @click.option("--port", is_flag=True, help="Print the port only.")
    def address(host: bool, port: bool) -> None:
        """Print the peer's own address, to connect to it without the exporter."""
        url = client.address()
        parts = urlsplit(url if "://" in url else f"//{url}")
        shown_port = parts.port or {"ws": 80, "wss": 443}.get(parts.scheme)
        if host == port:
            click.echo(f"{_bracketed(parts.hostname or '')}:{shown_port}")
        else:
            click.echo(parts.hostname if host else shown_port)

    return address


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def until_interrupted() -> Iterator[Flag]:
    """Yield a flag that SIGINT and SIGTERM set, so that a command can end at once and in good order.

    The signals' former handlers come back on exit. Outside the main thread, where Python delivers no signals,
    only the program itself sets it.
    """
    stop = Flag()  # no threading.Event: its lock may be held by the very thread that runs the handler
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    with handling(lambda *_: stop.set(), signal.SIGINT, signal.SIGTERM):
        yield stop
