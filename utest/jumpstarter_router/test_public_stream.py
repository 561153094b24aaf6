"""`connect_router_stream`, the documented way of a program from a stream of its own to a router's."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from anyio import EndOfStream
from jumpstarter.common.streams import connect_router_stream
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.streams.common import create_memory_stream
from jumpstarter_router.service import RouterService
from jumpstarter_router.tokens import Side, TokenAuthority

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def router(folder: Path) -> AsyncIterator[tuple[TokenAuthority, str, TLSConfigV1Alpha1]]:
    """A router under TLS; gives who makes its tokens, its endpoint, and how to trust it."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=router"
    files = ["-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", *request.split(), *files], check=True, capture_output=True)
    authority = TokenAuthority(b"k" * 32)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((RouterService(authority).handlers(),))
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    try:
        async with asyncio.timeout(60):
            ca = base64.b64encode(certificate.read_bytes()).decode()
            yield authority, f"localhost:{port}", TLSConfigV1Alpha1(ca=ca)
    finally:
        await server.stop(None)


async def test_streams_of_both_sides_are_joined(tmp_path: Path) -> None:
    async with router(tmp_path) as (authority, endpoint, tls):
        tokens = authority.issue("lease", time.time())
        here, client = create_memory_stream()
        there, exporter = create_memory_stream()
        async with (
            connect_router_stream(endpoint, tokens[Side.CLIENT], client, tls, {}),
            connect_router_stream(endpoint, tokens[Side.EXPORTER], exporter, tls, None),
        ):
            await here.send(b"down")
            assert await there.receive() == b"down"
            large = bytes(range(256)) * 2048
            await there.send(large)
            received = b""
            while len(received) < len(large):
                received += await here.receive()
            assert received == large
            await here.aclose()
            with pytest.raises(EndOfStream):
                await there.receive()
            await there.aclose()


async def test_stream_ends_when_the_router_refuses_the_token(tmp_path: Path) -> None:
    async with router(tmp_path) as (_, endpoint, tls):
        here, mine = create_memory_stream()
        async with connect_router_stream(endpoint, "a.b.c", mine, tls, {}):
            with pytest.raises(EndOfStream):
                await here.receive()
            await here.aclose()
