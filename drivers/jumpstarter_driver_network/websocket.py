"""WebSocket connections as message streams (RFC 6455), through the websockets library of the extra
``network``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import ObjectStream
from jumpstarter.common.exceptions import ConfigurationError

from .sockets import reason, refused

MAX_MESSAGE = 64 * 1024 * 1024
"""The longest message in bytes that is taken from a server; a longer one ends the connection."""


def require_websockets() -> None:
    """Raise `ConfigurationError` with the way out when the websockets library is not installed."""
    if importlib.util.find_spec("websockets") is None:
        raise ConfigurationError(
            "websockets are not available: pip install 'robotframework-jumpstarter[network]' to get them"
        )


@dataclass
class WebsocketClientStream(ObjectStream[bytes]):
    """A client's WebSocket; one message is one item, text arrives as UTF-8, everything is sent as binary.

    A WebSocket cannot be half-closed, so `send_eof` does nothing: the peer learns of the end when the stream
    closes.
    """

    conn: Any

    async def receive(self) -> bytes:
        """Return the next message.

        Raises:
            anyio.EndOfStream: the peer closed the connection in good order
            anyio.BrokenResourceError: the connection broke
        """
        from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

        try:
            message = await self.conn.recv()
        except ConnectionClosedOK as closed:
            raise anyio.EndOfStream from closed
        except ConnectionClosedError as error:
            raise anyio.BrokenResourceError(str(error)) from error
        return message.encode() if isinstance(message, str) else bytes(message)

    async def send(self, item: bytes) -> None:
        """Send *item* as one binary message. Raises `anyio.BrokenResourceError` when the connection is
        closed.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            await self.conn.send(item)
        except ConnectionClosed as error:
            raise anyio.BrokenResourceError(str(error)) from error

    async def send_eof(self) -> None:
        """Do nothing: see the class."""

    async def aclose(self) -> None:
        """Close in good order."""
        await self.conn.close()


@asynccontextmanager
async def connect_websocket(url: str, timeout: float) -> AsyncIterator[WebsocketClientStream]:
    """Connect to *url* within *timeout* seconds and give the stream.

    Raises:
        ConnectionError: the server cannot be reached or refuses the handshake
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    try:
        # Pings keep the way open; a late pong is no reason to hang up, as a slow reader here delays it too.
        conn = await connect(
            url,
            open_timeout=timeout,
            ping_timeout=None,
            max_size=MAX_MESSAGE,
            compression=None,
            close_timeout=2,
        )
    except TimeoutError:
        raise refused(url, f"no answer within {timeout:g} s") from None
    except (OSError, WebSocketException) as error:
        raise refused(url, reason(error)) from None
    stream = WebsocketClientStream(conn)
    try:
        yield stream
    finally:
        with anyio.CancelScope(shield=True):
            await stream.aclose()
