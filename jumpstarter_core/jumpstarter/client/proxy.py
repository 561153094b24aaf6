"""A gRPC server that hands every call on to another one, as it is.

A shell with a leased exporter keeps one connection to it, through a router; the commands in the shell come through this
proxy, and none of them has to dial.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import grpc

from jumpstarter.common.grpc import FLOW, PLAIN

#: Says why an exporter cannot be reached, on a thread; None when nothing is known.
Explain = Callable[[], str | None]


class Forwarder(grpc.GenericRpcHandler):
    """Hands calls of any method on to *channel*. All kinds of calls look the same on the wire: messages both ways.

    Where *channel* leads nowhere, *explain* may say why.
    """

    def __init__(self, channel: grpc.aio.Channel, explain: Explain) -> None:
        self._channel = channel
        self._explain = explain

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        forward = partial(self._forward, handler_call_details.method)
        return grpc.stream_stream_rpc_method_handler(forward)  # type: ignore[arg-type]

    async def _forward(self, method: str, _: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        metadata = tuple((k, v) for k, v in context.invocation_metadata() or () if k != "user-agent")
        call: Any = self._channel.stream_stream(method)(metadata=metadata, timeout=context.time_remaining())
        sending = asyncio.create_task(_send(call, context))
        try:
            await context.send_initial_metadata(await call.initial_metadata())
            while (message := await call.read()) is not grpc.aio.EOF:
                await context.write(message)
            await self._end(call, context)
        except grpc.aio.AioRpcError as error:
            details = await self._details(error.code(), error.details() or "")
            await context.abort(error.code(), details, tuple(error.trailing_metadata() or ()))
        finally:
            sending.cancel()
            call.cancel()

    async def _end(self, call: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        code = await call.code()
        trailing = await call.trailing_metadata() or ()
        if code is grpc.StatusCode.OK:
            context.set_trailing_metadata(tuple(trailing))
        else:
            details = await self._details(code, await call.details() or "")
            await context.abort(code, details, tuple(trailing))

    async def _details(self, code: grpc.StatusCode, details: str) -> str:
        if code is not grpc.StatusCode.UNAVAILABLE:
            return details
        return await asyncio.to_thread(self._explain) or details


async def _send(call: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    try:
        while (message := await context.read()) is not grpc.aio.EOF:
            await call.write(message)
        await call.done_writing()
    except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
        return  # the call has ended; its reader tells why


#: Messages of any size: who sends and who receives them decide.
OPTIONS: Final = (
    *FLOW,
    *PLAIN,
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


@asynccontextmanager
async def proxying(
    channel: grpc.aio.Channel, path: str, explain: Explain = lambda: None
) -> AsyncIterator[None]:
    """Serve a proxy to what is behind *channel*, and close that at the end, on the unix socket *path*."""
    async with channel:
        server = await start_proxy(channel, path, explain)
        try:
            yield
        finally:
            await server.stop(None)


async def start_proxy(
    channel: grpc.aio.Channel, path: str, explain: Explain = lambda: None
) -> grpc.aio.Server:
    """Serve a proxy to what is behind *channel* on the unix socket *path*, until the server that this gives is stopped."""
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((Forwarder(channel, explain),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    return server
