"""The joint: joins a client's connection and an exporter's as they are, so that the TLS between them passes through unread.

Both ask with HTTP CONNECT (RFC 9110, section 9.3.6), which gRPC's clients speak to proxies. A client shows its ticket, as the
password of basic authentication; a `Gate` tells whose lease it is for, and calls the exporter. That one comes with a router
token of the one stream, as bearer.

What holds:

* A ticket lets a client in as often as it likes, for its connection may break; an exporter's token joins once.
* Bytes are taken from one side only when those before them are on their way to the other.
* The end of one direction leaves the other one open.
* Who comes without what it needs, or waits alone for `LONE_TIMEOUT`, is told and sent away; not more than `MAX_PENDING` wait.
* `cut` ends all that is joined for a lease, and voids the tokens of its exporter.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from jumpstarter.common.splice import keep_alive, splice

from .service import LONE_TIMEOUT, MAX_PENDING, refusals
from .tokens import InvalidTokenError, Side, TokenAuthority

logger = logging.getLogger("jumpstarter.router")

#: Seconds that a request may take to arrive.
REQUEST_TIMEOUT: Final = 10.0
#: Bytes of a request at the most; tickets have less than one KiB.
REQUEST_SIZE: Final = 8192

_REASONS: Final = {
    200: "Connection established",
    400: "Bad Request",
    403: "Forbidden",
    407: "Proxy Authentication Required",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class RefusedError(Exception):
    """Sends a connection away with an HTTP status and a line for the log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Admission:
    """A client that may come in: the lease, and what tells its exporter to come, with the token that is given."""

    lease: str
    call_exporter: Callable[[str], Awaitable[None]]


class Gate(Protocol):
    """Knows the leases. Raises RefusedError."""

    async def admit(self, ticket: str) -> Admission:
        """Wait for the exporter of the ticket's lease to be ready."""
        ...


class _Peer:
    """A connection that belongs to the task that serves it, until it is handed over."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.handed_over = False

    def close(self, _: object = None) -> None:
        if not self.handed_over:
            self.sock.close()


class Joint:
    """See the module. *clock* gives seconds since 1970."""

    def __init__(
        self,
        authority: TokenAuthority,
        gate: Gate,
        *,
        lone_timeout: float = LONE_TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authority = authority
        self._gate = gate
        self._lone_timeout = lone_timeout
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[socket.socket]] = {}
        self._joined: dict[asyncio.Task[None], str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port. Raises OSError when the address cannot be used."""
        loop = asyncio.get_running_loop()
        if host == "::" and not socket.has_dualstack_ipv6():
            host = "0.0.0.0"  # a system without IPv6
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in infos:
                listener = socket.create_server(
                    (str(address[0]), port),
                    family=socket.AddressFamily(family),
                    backlog=128,
                    dualstack_ipv6=address[0] == "::",
                )
                listener.setblocking(False)
                self._listeners.append(listener)
                port = listener.getsockname()[1]
        except OSError:
            self._close_listeners()
            raise
        for listener in self._listeners:
            self._accepting.append(self._spawn(self._accept(listener)))
        return port

    async def close_listeners(self) -> None:
        """Take no more connections, and give up the addresses; what is joined goes on."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self._accepting.clear()
        self._close_listeners()

    async def stop(self) -> None:
        """End everything."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._close_listeners()

    def cut(self, lease: str, stamp: float | None = None) -> int:
        """End all connections of *lease*; gives how many there were. *stamp* as in `TokenAuthority.void`."""
        self._authority.void(lease, self._clock(), stamp)
        tasks = [task for task, name in self._joined.items() if name == lease]
        for task in tasks:
            task.cancel()
        return len(tasks)

    @property
    def leases(self) -> set[str]:
        """The leases that have connections."""
        return set(self._joined.values())

    @property
    def connections(self) -> int:
        """How many clients are joined with their exporters now."""
        return len(self._joined)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:  # out of files, or a peer that left: neither is a reason to stop
                refusals.warning("accept", f"a connection could not be taken: {error.strerror or error}")
                await asyncio.sleep(0.1)
                continue
            peer = _Peer(sock)
            if len(self._tasks) - len(self._joined) + len(self._waiting) > MAX_PENDING:
                refusals.warning(
                    "pending", f"a connection was refused: {MAX_PENDING} others are not joined yet"
                )
                peer.close()
                continue
            # Also for a task that is cancelled before it has begun, which closes nothing itself.
            self._spawn(self._serve(peer)).add_done_callback(peer.close)

    async def _serve(self, peer: _Peer) -> None:
        sock, name = peer.sock, "?"
        try:
            name = str(sock.getpeername()[0])
            keep_alive(sock)
            scheme, secret = await _request(sock)
            if scheme == "bearer":
                self._hand_over(peer, secret)
            else:
                await self._serve_client(sock, secret)
        except RefusedError as error:
            refusals.log(logging.INFO, name, f"a connection of {name} was refused: {error}")
            await _refuse(sock, error.status)
        except OSError as error:
            logger.debug("a connection of %s ended: %s", name, error)
        except Exception:
            logger.exception("a connection of %s failed", name)
            await _refuse(sock, 503)

    def _hand_over(self, exporter: _Peer, token: str) -> None:
        """Give *exporter* to the client that waits for it, whose task carries the bytes and closes both connections."""
        try:
            ticket = self._authority.check(token)
        except InvalidTokenError as error:
            raise RefusedError(403, str(error)) from None
        waiting = self._waiting.pop(ticket.stream, None) if ticket.side is Side.EXPORTER else None
        if waiting is None or waiting.done():
            raise RefusedError(403, "nobody waits for this token: it was used before, or the client has left")
        waiting.set_result(exporter.sock)
        exporter.handed_over = True

    async def _serve_client(self, sock: socket.socket, ticket: str) -> None:
        admission = await self._gate.admit(ticket)
        token, stream = self._authority.issue_one(Side.EXPORTER, admission.lease, self._clock())
        waiting = self._waiting[stream] = asyncio.get_running_loop().create_future()
        task = asyncio.current_task()
        assert task is not None
        self._joined[task] = admission.lease
        try:
            await admission.call_exporter(token)
            exporter = await self._exporter(waiting)
            for each in (exporter, sock):
                await _answer(each, 200)
            await splice(sock, exporter)
        finally:
            self._waiting.pop(stream, None)
            del self._joined[task]
            if not waiting.cancel() and not waiting.cancelled():
                waiting.result().close()

    async def _exporter(self, waiting: asyncio.Future[socket.socket]) -> socket.socket:
        try:
            async with asyncio.timeout(self._lone_timeout):
                return await asyncio.shield(waiting)
        except TimeoutError:
            raise RefusedError(504, f"the exporter did not come within {self._lone_timeout:g} s") from None


async def _request(sock: socket.socket) -> tuple[str, str]:
    """(scheme, secret) of the request: ("bearer", token) or ("basic", password). Raises RefusedError, OSError."""
    loop, head = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            while not head.endswith(b"\r\n\r\n"):
                more = await loop.sock_recv(sock, REQUEST_SIZE)
                head += more
                if not head:
                    raise ConnectionResetError("it was closed before it said anything")
                if not more or len(head) > REQUEST_SIZE:
                    raise RefusedError(400, "the request is no CONNECT of HTTP/1.1")
    except TimeoutError:
        raise RefusedError(400, f"no request came within {REQUEST_TIMEOUT:g} s") from None
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("CONNECT "):
        raise RefusedError(400, "the request is no CONNECT of HTTP/1.1")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    scheme, _, secret = fields.get("proxy-authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret:
        return "bearer", secret
    with suppress(binascii.Error, UnicodeDecodeError):
        _, colon, password = base64.b64decode(secret, validate=True).decode().partition(":")
        if scheme.lower() == "basic" and colon:
            return "basic", password
    raise RefusedError(407, "the request carries no ticket")


async def _refuse(sock: socket.socket, status: int) -> None:
    with suppress(OSError):
        await _answer(sock, status)


async def _answer(sock: socket.socket, status: int) -> None:
    text = f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
    if status != 200:
        text += "Connection: close\r\nContent-Length: 0\r\n"
    await asyncio.get_running_loop().sock_sendall(sock, f"{text}\r\n".encode())
