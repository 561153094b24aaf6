"""Plain sockets as anyio streams.

The streams own their socket: nothing else on the event loop reads from it. A session may therefore take the
socket over (``stream.extra(anyio.abc.SocketAttribute.raw_socket)``) and move the bytes with blocking calls on
threads.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from anyio.abc import ObjectStream, SocketAttribute, SocketStream
from anyio.lowlevel import checkpoint
from jumpstarter.common.exceptions import ConnectionError

MAX_DATAGRAM = 65535


class SocketByteStream(SocketStream):
    """A connected stream socket (TCP, unix, vsock) as an anyio byte stream.

    Closing the stream closes the socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock

    @property
    def _raw_socket(self) -> socket.socket:
        return self._socket

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return between 1 and *max_bytes* bytes.

        Raises:
            anyio.EndOfStream: the peer sends no more
            anyio.BrokenResourceError: the connection broke
            anyio.ClosedResourceError: this stream was closed
        """
        await checkpoint()
        while True:
            try:
                data = self._socket.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError as error:
                raise _stream_error(error) from error
            else:
                if data:
                    return data
                raise anyio.EndOfStream

    async def send(self, item: bytes) -> None:
        """Send all of *item*.

        Raises:
            anyio.BrokenResourceError: the connection broke
            anyio.ClosedResourceError: this stream was closed
        """
        await checkpoint()
        view = memoryview(item)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError as error:
                raise _stream_error(error) from error

    async def send_eof(self) -> None:
        """Tell the peer that nothing more is sent; receiving goes on."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            # The peer may be gone already; then it needs no end of file.
            if error.errno not in (errno.ENOTCONN, errno.EBADF):
                raise _stream_error(error) from error

    async def aclose(self) -> None:
        """Close the socket; who waits for it gets `anyio.ClosedResourceError`."""
        _close(self._socket)
        await checkpoint()


class DatagramStream(ObjectStream[bytes]):
    """A connected datagram socket; one datagram is one item.

    UDP knows no end of stream, so `send_eof` does nothing. An ICMP "port unreachable" does not end the
    stream, as the peer may start later (a booting board): it is given to *on_refused* and the exchange goes
    on.
    """

    def __init__(self, sock: socket.socket, on_refused: Callable[[], None]) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._on_refused = on_refused

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """`SocketAttribute.family`."""
        return {SocketAttribute.family: lambda: self._socket.family}

    async def receive(self) -> bytes:
        """Return the next datagram. Raises `anyio.ClosedResourceError` when the stream was closed."""
        await checkpoint()
        while True:
            try:
                return self._socket.recv(MAX_DATAGRAM)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except ConnectionRefusedError:
                self._on_refused()
            except OSError as error:
                raise _stream_error(error) from error

    async def send(self, item: bytes) -> None:
        """Send one datagram.

        Raises:
            ValueError: *item* is longer than a datagram can be (about 65507 bytes)
            anyio.ClosedResourceError: the stream was closed
        """
        await checkpoint()
        while True:
            try:
                self._socket.send(item)
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except ConnectionRefusedError:
                # Reports an earlier datagram; this one was not sent yet.
                self._on_refused()
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    raise ValueError(f"a datagram of {len(item)} bytes is too long for UDP") from error
                raise _stream_error(error) from error
            else:
                return

    async def send_eof(self) -> None:
        """Do nothing: UDP has no end of stream."""

    async def aclose(self) -> None:
        """Close the socket."""
        _close(self._socket)
        await checkpoint()


def _stream_error(error: OSError) -> Exception:
    if error.errno == errno.EBADF:
        return anyio.ClosedResourceError()
    return anyio.BrokenResourceError(os.strerror(error.errno) if error.errno else str(error))


def _close(sock: socket.socket) -> None:
    if sock.fileno() >= 0:
        anyio.notify_closing(sock)
        sock.close()


async def connect_inet(
    scheme: str, host: str, port: int, kind: socket.SocketKind, timeout: float
) -> socket.socket:
    """Return a socket connected to *host*:*port*; every address of the name is tried in turn.

    Args:
        scheme: ``tcp`` or ``udp``, for the message
        host: name or address
        port: 1 to 65535
        kind: `socket.SOCK_STREAM` or `socket.SOCK_DGRAM`
        timeout: seconds for name lookup and all attempts together

    Raises:
        ConnectionError: no address answered; the message names the place and the reason
    """
    place = f"{scheme}://{host}:{port}"
    try:
        with anyio.fail_after(timeout):
            found = await anyio.getaddrinfo(host, port, type=kind)
            return await _first_connected(found, timeout)
    except TimeoutError:
        raise refused(place, f"no answer within {timeout:g} s") from None
    except (OSError, UnicodeError) as error:
        raise refused(place, reason(error)) from None


async def connect_socket(family: int, address: Any, place: str, timeout: float) -> socket.socket:
    """Return a stream socket of *family* connected to *address* (unix and vsock).

    Raises:
        ConnectionError: with *place*, the address as users write it, and the reason
    """
    try:
        with anyio.fail_after(timeout):
            return await _connected(family, socket.SOCK_STREAM, address)
    except TimeoutError:
        raise refused(place, f"no answer within {timeout:g} s") from None
    except OSError as error:
        raise refused(place, reason(error)) from None


async def _first_connected(found: list[Any], timeout: float) -> socket.socket:
    # A share of the time for each address, so that a dead IPv6 route leaves some for IPv4.
    share = timeout / max(1, len(found))
    failure: OSError = OSError(errno.EADDRNOTAVAIL, "the name has no address")
    for family, kind, _, _, address in found:
        try:
            with anyio.fail_after(share):
                return await _connected(family, kind, address)
        except OSError as error:  # includes TimeoutError
            failure = error
    raise failure


async def _connected(family: int, kind: int, address: Any) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family in (socket.AF_INET, socket.AF_INET6) and kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await _connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(sock: socket.socket, address: Any) -> None:
    try:
        sock.connect(address)
    except BlockingIOError as error:
        if sock.family == socket.AF_UNIX:
            # A unix socket says EAGAIN when the listener's queue is full, and no event tells when it has
            # room.
            raise OSError(error.errno, "the server's queue of waiting connections is full") from error
        await anyio.wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code)) from None


def refused(place: str, why: str) -> ConnectionError:
    """The error for a connection to *place* that failed because of *why*, with what to look at."""
    return ConnectionError(
        f"cannot connect to {place}: {why}; is the server running and reachable from the exporter?"
    )


def reason(error: BaseException) -> str:
    """What went wrong, in words, without numbers and class names."""
    if isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    if isinstance(error, TimeoutError) and not error.errno:
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error) or type(error).__name__
