"""The exporter's end of a passage: its session with TLS on one side, the joint where a client waits on the other."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Final

import grpc
from jumpstarter.common.addresses import split_address
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.splice import keep_alive, splice
from jumpstarter_protocol import lab_pb2

logger = logging.getLogger(__name__)

#: Seconds to reach the joint, and for it to have the client.
JOIN_TIMEOUT: Final = 30.0
#: Seconds for the joint to take a connection; one that does not is not reachable from here.
PROBE_TIMEOUT: Final = 2.0
ANSWER_SIZE: Final = 8192


def credentials(passage: lab_pb2.Passage) -> grpc.ServerCredentials:
    """What the session presents, and asks its clients for."""
    return grpc.ssl_server_credentials(
        [(passage.key.encode(), passage.certificate.encode())],
        root_certificates=passage.authority.encode(),
        require_client_auth=True,
    )


async def reachable(endpoint: str) -> bool:
    """Whether the joint *endpoint* takes connections from here."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            (await _connect(endpoint)).close()
    except OSError as error:
        logger.info(
            "passages go by %s, which cannot be reached from here: %s", endpoint, error or "no answer"
        )
        return False
    return True


async def join(endpoint: str, token: str, path: str) -> None:
    """Carry bytes between the client that waits at the joint *endpoint* for *token* and the socket *path*, until both ended.

    Raises OSError, ConnectionError when the joint does not let it in.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as session:
        session.setblocking(False)
        async with asyncio.timeout(JOIN_TIMEOUT):
            client = await _connect(endpoint)
        with client:
            async with asyncio.timeout(JOIN_TIMEOUT):
                await _ask(client, endpoint, token)
                await loop.sock_connect(session, path)
            await splice(client, session)


async def _connect(endpoint: str) -> socket.socket:
    """A connection to HOST:PORT that does not block. Raises OSError."""
    loop, (host, port) = asyncio.get_running_loop(), split_address(endpoint)
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: OSError | None = None
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            keep_alive(sock)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise problem or OSError(f"{host} has no address")


async def _ask(sock: socket.socket, endpoint: str, token: str) -> None:
    loop = asyncio.get_running_loop()
    request = (
        f"CONNECT {endpoint} HTTP/1.1\r\nHost: {endpoint}\r\nProxy-Authorization: Bearer {token}\r\n\r\n"
    )
    await loop.sock_sendall(sock, request.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        # Byte by byte at the end: what follows is the client's.
        more = await loop.sock_recv(sock, 1)
        if not more or len(answer) > ANSWER_SIZE:
            raise ConnectionError(f"the joint {endpoint} gave no answer of HTTP")
        answer += more
    status = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if " 200 " not in f"{status} ":
        raise ConnectionError(f"the joint {endpoint} refuses the exporter: {status}")
