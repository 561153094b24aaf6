"""A listening socket whose connections are carried to a driver: the inside of the port forwards."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import TYPE_CHECKING

from jumpstarter.common.memory import keep_buffers

from .relay import Relay, describe, reset_on_close

if TYPE_CHECKING:
    from jumpstarter.client import DriverClient


class Forwarder:
    """Joins every connection to *listener* with a stream of its own from *client*.

    A context manager: connections are taken while it lasts; leaving it closes the listener and every
    connection and waits for all threads.

    Args:
        client: the driver client whose streams are used
        method: the driver's stream method
        listener: a bound and listening socket; owned from here on
    """

    def __init__(self, client: DriverClient, method: str, listener: socket.socket) -> None:
        self._client = client
        self._method = method
        self._listener = listener
        self._name = client.name
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, Relay | None] = {}
        self._stopping = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name=f"forward {self._name}", daemon=True)

    def __enter__(self) -> Forwarder:
        keep_buffers()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake_writer.send(b"x")
        self._thread.join()
        with self._lock:
            self._stopping = True
            connections = dict(self._open)
        for thread, relay in connections.items():
            # Without a relay the thread still waits for the exporter to connect; then it sees `_stopping`.
            if relay is not None:
                relay.stop()
                thread.join()
        self._wake_reader.close()
        self._wake_writer.close()

    def _accept(self) -> None:
        with self._listener, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            # A connection may vanish between the event and accept().
            self._listener.setblocking(False)
            while not any(key.fileobj is self._wake_reader for key, _ in selector.select()):
                with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                    self._begin(self._listener.accept()[0])

    def _begin(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(
            target=self._serve, args=(sock,), name=f"connection {self._name}", daemon=True
        )
        with self._lock:
            self._open[thread] = None
        thread.start()

    def _serve(self, sock: socket.socket) -> None:
        from anyio import BrokenResourceError, ClosedResourceError
        from jumpstarter.common.exceptions import JumpstarterException

        this = threading.current_thread()
        try:
            with self._client.stream(self._method) as stream:
                relay = Relay(sock, stream, self._name, self._client.logger)
                with self._lock:
                    if self._stopping:
                        return
                    self._open[this] = relay
                relay.run()
        except (JumpstarterException, BrokenResourceError, ClosedResourceError, OSError) as error:
            if not self._stopping:
                self._client.logger.warning("%s: no connection: %s", self._name, describe(error))
            reset_on_close(sock)
        finally:
            sock.close()
            with self._lock:
                del self._open[this]


def listen_tcp(host: str, port: int) -> socket.socket:
    """A socket that listens on *host*:*port* (0: any free port).

    Raises:
        ConnectionError: the address is taken, not ours, or not allowed; the message says which
    """
    from jumpstarter.common.exceptions import ConnectionError

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # "localhost" is both; most programs try 127.0.0.1.
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ConnectionError(
            f"cannot listen on {host}:{port}: {why}; choose another port or address"
        ) from None


def listen_unix(path: str) -> socket.socket:
    """A socket that listens on the unix socket *path*, which must not exist yet; only its owner may connect.

    Raises:
        ConnectionError: the path exists, its directory does not, or it is longer than the system allows
    """
    import os

    from jumpstarter.common.exceptions import ConnectionError

    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, 0o600)  # noqa: PTH101 - a path as text
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise ConnectionError(
            f"cannot listen on {path}: {(error.strerror or str(error)).lower()}; choose another path"
        ) from None
    return sock
