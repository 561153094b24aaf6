"""The client of the VNC driver."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

import click
from jumpstarter_driver_composite.client import CompositeClient

if TYPE_CHECKING:
    from jumpstarter.streams.blocking import BlockingStream
    from jumpstarter_driver_network.client import NetworkClient

__all__ = ["VNClient"]


@dataclass(kw_only=True)
class VNClient(CompositeClient):
    """A screen over VNC. Its streams are those of the child ``tcp``."""

    @property
    def tcp(self) -> NetworkClient:
        """The way to the VNC server. Raises DriverError when the exporter has none."""
        from jumpstarter.common.exceptions import DriverError

        try:
            child: NetworkClient = self.children["tcp"]
        except KeyError:
            raise DriverError("the exporter's VNC driver has no child 'tcp'") from None
        return child

    def get_default_encrypt(self) -> bool:
        """Whether the exporter's configuration wants ``wss://``."""
        return bool(self.call("get_default_encrypt"))

    @contextmanager
    def stream(self, method: str = "connect") -> Generator[BlockingStream]:
        """A stream to the VNC server."""
        with self.tcp.stream(method) as stream:
            yield stream

    @asynccontextmanager
    async def stream_async(self, method: str = "connect") -> AsyncGenerator[Any]:
        """A stream to the VNC server, for coroutines."""
        async with self.tcp.stream_async(method) as stream:
            yield stream

    @contextmanager
    def session(self, *, encrypt: bool = True) -> Iterator[str]:
        """The URL of a noVNC page that shows the screen while the context lasts; *encrypt* chooses
        ``wss://``.
        """
        from jumpstarter_driver_network.adapters import NovncAdapter

        with NovncAdapter(self.tcp, encrypt=encrypt) as url:
            yield url

    def cli(self) -> click.Group:
        """The ``j`` commands: those of the children, and ``session``."""
        base = super().cli()
        base.help = self.description or "A screen over VNC"

        @base.command()
        @click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
        @click.option(
            "--encrypt/--no-encrypt",
            default=None,
            help="Use wss:// or ws://; default: the exporter's choice.",
        )
        def session(browser: bool, encrypt: bool | None) -> None:
            """Show the screen in a browser until Ctrl-C"""
            chosen = self.get_default_encrypt() if encrypt is None else encrypt
            # Ctrl-C is the end of a session that was wanted, so it is no failure.
            with suppress(KeyboardInterrupt), self.session(encrypt=chosen) as url:
                click.echo(url)
                sys.stdout.flush()
                if browser:
                    click.launch(url)
                click.echo("Press Ctrl-C to end the session.", err=True)
                Event().wait()

        return base
