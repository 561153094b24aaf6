"""A lab in one event loop, without TLS, identities or time: Dial, a real router, and a real session behind it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from anyio import to_thread
from jumpstarter.client.dial import Dialer
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.driver import Driver
from jumpstarter.session import Session
from jumpstarter.streams.relay import relay
from jumpstarter_protocol import jumpstarter_pb2 as pb
from jumpstarter_protocol import jumpstarter_pb2_grpc
from jumpstarter_router.service import RouterService
from jumpstarter_router.tokens import Side, TokenAuthority

LEASE = "lease-1"


@dataclass
class SmallLab(jumpstarter_pb2_grpc.ControllerServiceServicer):  # type: ignore[misc]
    """`dials` counts what was asked; `answer` may raise by aborting, before the exporter is told."""

    session_path: str
    router: RouterService
    tokens: TokenAuthority
    endpoint: str = ""
    dials: int = 0
    answer: Callable[[int, Any], Any] | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _channel: Any = None

    async def Dial(self, request: pb.DialRequest, context: Any) -> pb.DialResponse:
        self.dials += 1
        if self.answer is not None:
            await self.answer(self.dials, context)
        tokens = self.tokens.issue(request.lease_name, time.time())
        task = asyncio.create_task(self._exporter_joins(tokens[Side.EXPORTER]))
        self.tasks.add(task)
        return pb.DialResponse(router_endpoint=self.endpoint, router_token=tokens[Side.CLIENT])

    async def _exporter_joins(self, token: str) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.session_path)
        try:
            await relay(await self.channel(), token, sock)
        except grpc.aio.AioRpcError:
            sock.close()

    async def channel(self) -> Any:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self.endpoint)
        return self._channel

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()


@asynccontextmanager
async def small_lab(device: Driver) -> AsyncIterator[SmallLab]:
    """A lab with one exporter, leased as `LEASE`."""
    async with AsyncExitStack() as stack:
        session = Session(root_device=device)
        await to_thread.run_sync(session.__enter__)
        stack.push_async_callback(to_thread.run_sync, session.__exit__, None, None, None)
        session.update_status(ExporterStatus.LEASE_READY)
        path = await stack.enter_async_context(session.serve_unix_async())
        tokens = TokenAuthority(b"k" * 32)
        router = RouterService(tokens)
        lab = SmallLab(session_path=str(path), router=router, tokens=tokens)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((router.handlers(),))
        jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(lab, server)  # type: ignore[no-untyped-call]
        lab.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        stack.push_async_callback(server.stop, None)
        stack.push_async_callback(lab.close)
        yield lab


@asynccontextmanager
async def dialling(lab: SmallLab, path: str, timeout: float = 20.0) -> AsyncIterator[Dialer]:
    """A dialler for the lab's lease, listening on *path*."""
    async with grpc.aio.insecure_channel(lab.endpoint) as channel:
        routers: dict[str, Any] = {}

        async def router(endpoint: str) -> Any:
            if endpoint not in routers:
                routers[endpoint] = grpc.aio.insecure_channel(endpoint)
            return routers[endpoint]

        stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(channel)  # type: ignore[no-untyped-call]
        dialer = Dialer(stub, (), LEASE, router, timeout)
        async with dialer.listening(path):
            yield dialer
        for each in routers.values():
            await each.close()
