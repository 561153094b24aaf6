"""Byte streams for code without an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self


class ByteChannel(Protocol):
    """Both directions of a byte stream, for threads."""

    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes | None: ...
    def send_eof(self) -> None: ...
    def close(self) -> None: ...


class BlockingStream:
    """A byte stream: `send`, `receive`, `send_eof`, `close`; also a context manager that closes.

    Made from a channel for threads, or (*portal* given) from an anyio stream that lives on that portal's loop.
    """

    def __init__(self, stream: Any, portal: Any = None) -> None:
        self.stream = stream
        self.portal = portal
        self._channel: ByteChannel = stream if portal is None else _Portalled(stream, portal)

    def send(self, data: bytes) -> None:
        """Send *data*. Raises anyio.BrokenResourceError when the other side is gone, anyio.ClosedResourceError when closed."""
        self._channel.send(data)

    def receive(self) -> bytes:
        """The next bytes, at least one. Raises anyio.EndOfStream at the end, anyio.BrokenResourceError when the stream broke."""
        data = self._channel.receive()
        if data is None:
            from anyio import EndOfStream

            raise EndOfStream
        return data

    def send_eof(self) -> None:
        """Say that nothing more is sent; receiving goes on."""
        self._channel.send_eof()

    def close(self) -> None:
        """Close both directions. Closing twice is fine."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Portalled:
    """An anyio stream on a portal's loop, seen from a thread."""

    def __init__(self, stream: Any, portal: Any) -> None:
        self._stream = stream
        self._call: Callable[..., Any] = portal.call

    def send(self, data: bytes) -> None:
        self._call(self._stream.send, data)

    def receive(self) -> bytes | None:
        from anyio import EndOfStream

        try:
            return bytes(self._call(self._stream.receive))
        except EndOfStream:
            return None

    def send_eof(self) -> None:
        self._call(self._stream.send_eof)

    def close(self) -> None:
        self._call(self._stream.aclose)
