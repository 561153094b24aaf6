"""A gRPC server that hands every call on to another one, as it is.

A shell with a leased exporter keeps one connection to it, through a router; the commands in the shell come through this
proxy, and none of them has to dial. When that connection breaks, they wait until there is one again, and a call of a driver that
was under way is made again where the exporter knows that it is the same one (`jumpstarter.common.repeats`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from secrets import token_hex
from typing import Any, Final, NoReturn

import grpc

from jumpstarter.common.grpc import FLOW
from jumpstarter.common.repeats import ANEW, CALL, CANCEL, NAME_KEY, SERVICE, CallName, lends_data

from .patience import Lost, Patience, Session, Waits

_Context = grpc.aio.ServicerContext[Any, Any]

_REPEATED: Final = f"/{SERVICE}/{CALL}"

#: Unary calls that may be made as often as one likes.
_HARMLESS: Final = frozenset(f"/jumpstarter.v1.ExporterService/{name}" for name in ("GetReport", "GetStatus"))
_DRIVER_CALL: Final = "/jumpstarter.v1.ExporterService/DriverCall"
#: Seconds for the exporter to hear that nobody waits for a call any more.
_CANCEL_TIMEOUT: Final = 5.0

#: Seconds for the state of a connection to follow the failure of a call on it. A driver may fail in the same way, without.
_SETTLING: Final = 1.0


class Forwarder(grpc.GenericRpcHandler):
    """Hands calls of any method on to *channel*. All kinds of calls look the same on the wire: messages both ways.

    Where *channel* leads nowhere, *patience* has calls wait, and may say why.
    """

    def __init__(self, channel: grpc.aio.Channel, patience: Patience) -> None:
        self._channel = channel
        self._patience = patience
        self._numbers = _Numbers()
        self._ending: set[asyncio.Task[None]] = set()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        if method == _DRIVER_CALL or method in _HARMLESS:
            return grpc.unary_unary_rpc_method_handler(partial(self._forward_unary, method))  # type: ignore[arg-type]
        return grpc.stream_stream_rpc_method_handler(partial(self._forward, method))  # type: ignore[arg-type]

    async def _forward(self, method: str, _: Any, context: _Context) -> None:
        await self._ready(context)
        call: Any = self._channel.stream_stream(method)(
            metadata=_metadata(context), timeout=context.time_remaining()
        )
        sending = asyncio.create_task(_send(call, context))
        try:
            await context.send_initial_metadata(await call.initial_metadata())
            while (message := await call.read()) is not grpc.aio.EOF:
                await context.write(message)
            await self._end(call, context)
        except grpc.aio.AioRpcError as error:
            await self._fail(error, context)
        finally:
            sending.cancel()
            call.cancel()

    async def _end(self, call: Any, context: _Context) -> None:
        code = await call.code()
        trailing = await call.trailing_metadata() or ()
        if code is grpc.StatusCode.OK:
            context.set_trailing_metadata(tuple(trailing))
        else:
            details = await self._details(code, await call.details() or "")
            await context.abort(code, details, tuple(trailing))

    async def _forward_unary(self, method: str, request: bytes, context: _Context) -> bytes:
        number = self._numbers.take() if method == _DRIVER_CALL else 0
        try:
            return await self._made(method, request, context, number)
        finally:
            self._numbers.give_back(number)

    async def _made(self, method: str, request: bytes, context: _Context, number: int) -> bytes:
        """The answer to *request*, which is asked for again when the connection breaks, if it can be."""
        made_for: Session | None = None
        while True:
            await self._ready(context)
            session = self._patience.session
            if made_for is not None and method == _DRIVER_CALL and made_for != session:
                await context.abort(grpc.StatusCode.UNAVAILABLE, ANEW)
            made_for = session
            loss = self._patience.loss
            call = self._call(method, session, request, context, number)
            try:
                answer: bytes = await call
            except grpc.aio.AioRpcError as error:
                if lends_data(request) or not await self._may_repeat(error, method, session, loss):
                    await self._fail(error, context)
            except asyncio.CancelledError:
                self._end_call(session, number)
                raise
            else:
                context.set_trailing_metadata(tuple(await call.trailing_metadata() or ()))
                return answer

    def _call(self, method: str, session: Session, request: bytes, context: _Context, number: int) -> Any:
        metadata, remaining = _metadata(context), context.time_remaining()
        if number and session.repeats:
            method, metadata = _REPEATED, (*metadata, (NAME_KEY, self._numbers.name(session.uuid, number)))
        ask: Any = self._channel.unary_unary(method)
        return ask(request, metadata=metadata, timeout=remaining)

    async def _may_repeat(
        self, error: grpc.aio.AioRpcError, method: str, session: Session, loss: asyncio.Event
    ) -> bool:
        """Whether a call that failed with *error* is to be made again."""
        if error.code() is not grpc.StatusCode.UNAVAILABLE or not self._patience.active:
            return False
        if not (method in _HARMLESS or session.repeats):
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLING):
                await loss.wait()
        return loss.is_set()

    def _end_call(self, session: Session, number: int) -> None:
        """Nobody waits for the call any more: its method is to end, unlike that of a call whose connection broke."""
        if number and session.repeats:
            name = ((NAME_KEY, self._numbers.name(session.uuid, number)),)
            task = asyncio.create_task(self._cancel(name))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _cancel(self, name: Any) -> None:
        tell: Any = self._channel.unary_unary(f"/{SERVICE}/{CANCEL}")
        with suppress(grpc.aio.AioRpcError):
            await tell(b"", metadata=name, timeout=_CANCEL_TIMEOUT)

    async def _ready(self, context: _Context) -> None:
        """Wait for a connection."""
        try:
            await self._patience.ready()
        except Lost as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    async def _fail(self, error: grpc.aio.AioRpcError, context: _Context) -> NoReturn:
        details = await self._details(error.code(), error.details() or "")
        await context.abort(error.code(), details, tuple(error.trailing_metadata() or ()))
        raise AssertionError("unreachable")

    async def _details(self, code: grpc.StatusCode, details: str) -> str:
        if code is not grpc.StatusCode.UNAVAILABLE:
            return details
        return await asyncio.to_thread(self._patience.waits.explain) or details


class _Numbers:
    """The names of this proxy's calls that can be made again."""

    def __init__(self) -> None:
        self._caller = token_hex(12)
        self._next = count(1)
        self._open: set[int] = set()

    def take(self) -> int:
        """A number for a new call."""
        number = next(self._next)
        self._open.add(number)
        return number

    def give_back(self, number: int) -> None:
        """The call of that number is answered."""
        self._open.discard(number)

    def name(self, session: str, number: int) -> str:
        """The name of a call of *session*."""
        return str(CallName(session, self._caller, number, min(self._open, default=number)))


def _metadata(context: _Context) -> tuple[Any, ...]:
    return tuple((key, value) for key, value in context.invocation_metadata() or () if key != "user-agent")


async def _send(call: Any, context: _Context) -> None:
    try:
        while (message := await context.read()) is not grpc.aio.EOF:
            await call.write(message)
        await call.done_writing()
    except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
        return  # the call has ended; its reader tells why


#: Messages of any size: who sends and who receives them decide.
OPTIONS: Final = (*FLOW, ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


@asynccontextmanager
async def proxying(
    channel: grpc.aio.Channel, path: str, waits: Waits | None = None
) -> AsyncIterator[Patience]:
    """Serve a proxy to what is behind *channel*, and close that at the end, on the unix socket *path*.

    Gives what has calls wait when the connection breaks, as *waits* says; they do not before its context `waiting`.
    """
    async with channel:
        patience = Patience(channel, waits or Waits())
        server = await _start(channel, path, patience)
        try:
            async with patience.following():
                yield patience
        finally:
            await server.stop(None)


async def start_proxy(channel: grpc.aio.Channel, path: str) -> grpc.aio.Server:
    """Serve a proxy to what is behind *channel* on the unix socket *path*, until the server that this gives is stopped."""
    return await _start(channel, path, Patience(channel, Waits()))


async def _start(channel: grpc.aio.Channel, path: str, patience: Patience) -> grpc.aio.Server:
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((Forwarder(channel, patience),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    return server
