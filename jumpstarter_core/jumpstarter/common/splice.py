"""Joins two connected sockets."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final

#: Bytes that are taken at a time, at first and at the most. Most connections never need more than the first; larger ones
#: than the last are no faster, as they do not fit into a core's cache.
CHUNKS: Final = (16 << 10, 256 << 10)
#: Bytes that a unix socket may hold on their way to its other end; the system may allow less.
SENT_AHEAD: Final = 4 << 20
#: How a dead connection is known, by options of TCP: one that is idle is asked after 4 s, every 2 s, twice; what was
#: sent is to be acknowledged within 8 s (milliseconds).
SILENCE: Final = (("TCP_KEEPIDLE", 4), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 2), ("TCP_USER_TIMEOUT", 8_000))
#: Bytes that wait in the system for a slow line, beside those that are under way on it: the answer to a ping of gRPC comes behind
#: them, and a line that is slow and busy shall not look dead.
UNSENT: Final = 128 << 10


async def splice(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes between two sockets that do not block, until both directions have ended; the end of one leaves the other open.

    Bytes are taken only when those before them are on their way. Raises OSError when a connection breaks.
    """
    for each in (one, other):
        if each.family is socket.AF_UNIX:
            with suppress(OSError):  # more than the system allows: macOS refuses, Linux gives what it can
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_AHEAD)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(one, other))
            tasks.create_task(_copy(other, one))
    except* OSError as errors:
        raise errors.exceptions[0] from None


async def _copy(source: socket.socket, target: socket.socket) -> None:
    loop, (size, most) = asyncio.get_running_loop(), CHUNKS
    buffer = memoryview(bytearray(size))
    while count := await loop.sock_recv_into(source, buffer):
        await loop.sock_sendall(target, buffer[:count])
        if count == size < most:
            size = min(4 * size, most)
            buffer = memoryview(bytearray(size))
    with suppress(OSError):  # the other side may be gone already
        target.shutdown(socket.SHUT_WR)


def keep_alive(sock: socket.socket) -> None:
    """Have the system notice, within `SILENCE`, that the other end of the TCP connection *sock* vanished without a word.

    A connection that is slow, and busy, is none of these: whatever arrives at its other end is a word.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (*SILENCE, ("TCP_NOTSENT_LOWAT", UNSENT)):
        if hasattr(socket, name):  # macOS has them under other names, and its own defaults
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
