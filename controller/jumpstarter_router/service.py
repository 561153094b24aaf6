"""RouterService: pairs the two sides of a stream and copies frames between them.

What holds:

* Frames go through as they are, bytes for bytes, in order.
* A frame is taken from one side only when the one before it has been accepted by the other, so a slow reader slows its
  writer, and the router keeps one frame a direction.
* A token joins once. A side that waits alone is sent away after `LONE_TIMEOUT`; not more than `MAX_PENDING` wait at a time.
* The end of one direction leaves the other one open. When both have ended, or one breaks, both calls end.
* `cut` ends all streams of a lease at once, and what was dialled for it before opens none any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from jumpstarter.common.memory import keep_buffers
from jumpstarter.common.throttle import ThrottledLog, peer_host

from .tokens import InvalidTokenError, Side, Ticket, TokenAuthority

logger = logging.getLogger("jumpstarter.router")
refusals = ThrottledLog(logger)

#: Seconds that one side waits for the other.
LONE_TIMEOUT: Final = 60.0
#: Sides that may wait at a time.
MAX_PENDING: Final = 4096

_METHOD: Final = "jumpstarter.v1.RouterService"


class BrokenStreamError(Exception):
    """The stream ended for a reason that both sides are told."""


class Stream:
    """Two calls that belong together. `done` ends both; its exception is what they are told."""

    def __init__(self, ticket: Ticket) -> None:
        self.id = ticket.stream
        self.lease = ticket.lease
        self.ends: dict[Side, grpc.aio.ServicerContext[Any, Any]] = {}
        self.paired = asyncio.Event()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = 2

    def join(self, side: Side, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Add one side."""
        self.ends[side] = context
        if len(self.ends) == len(Side):
            self.paired.set()

    def direction_ended(self) -> None:
        """One direction has come to its end."""
        self._open -= 1
        if self._open == 0:
            self.finish(None)

    def finish(self, reason: str | None) -> None:
        """End both calls; with a *reason*, as broken."""
        if self.done.done():
            return
        if reason is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(BrokenStreamError(reason))
            self.done.exception()  # retrieved: a side that left already asks no more


class RouterService:
    """The handler of Stream. *clock* gives seconds since 1970."""

    def __init__(
        self,
        authority: TokenAuthority,
        *,
        lone_timeout: float = LONE_TIMEOUT,
        max_pending: int = MAX_PENDING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authority = authority
        self._lone_timeout = lone_timeout
        self._max_pending = max_pending
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._used: dict[tuple[str, Side], float] = {}
        keep_buffers()

    def handlers(self) -> grpc.GenericRpcHandler:
        """What to add to a grpc.aio server. Messages stay bytes: nothing is parsed."""
        handler: Any = grpc.stream_stream_rpc_method_handler(self.stream)  # type: ignore[arg-type]
        return grpc.method_handlers_generic_handler(_METHOD, {"Stream": handler})

    def cut(self, lease: str, stamp: float | None = None) -> int:
        """End every stream of *lease*; gives how many there were. *stamp* as in `TokenAuthority.void`."""
        self._authority.void(lease, self._clock(), stamp)
        streams = [stream for stream in self._streams.values() if stream.lease == lease]
        for stream in streams:
            stream.finish("the lease has ended")
        return len(streams)

    @property
    def leases(self) -> set[str]:
        """The leases that have streams."""
        return {stream.lease for stream in self._streams.values()}

    @property
    def open_streams(self) -> int:
        """Streams with at least one side."""
        return len(self._streams)

    async def stream(self, _: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """One side's call."""
        ticket = await self._admit(context)
        stream = self._streams.get(ticket.stream)
        if stream is None:
            stream = self._streams[ticket.stream] = Stream(ticket)
        stream.join(ticket.side, context)
        try:
            await self._wait_for_peer(stream)
            await self._carry(stream, ticket.side, context)
        except BrokenStreamError as error:
            await context.abort(grpc.StatusCode.ABORTED, str(error))
        finally:
            stream.finish("the other side went away")
            self._streams.pop(stream.id, None)

    async def _admit(self, context: grpc.aio.ServicerContext[Any, Any]) -> Ticket:
        try:
            ticket = self._authority.check(bearer_token(context.invocation_metadata()))
            self._use(ticket)
        except InvalidTokenError as error:
            peer = peer_host(context.peer())
            refusals.warning(peer, f"stream refused for {peer}: {error}")
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            raise AssertionError from error  # abort does not return
        pending = sum(1 for stream in self._streams.values() if not stream.paired.is_set())
        if ticket.stream not in self._streams and pending >= self._max_pending:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams wait for their other side"
            )
        return ticket

    def _use(self, ticket: Ticket) -> None:
        """Remember that the token was used, as long as it could be used again."""
        now = self._clock()
        if len(self._used) > 2 * self._max_pending:
            self._used = {key: expiry for key, expiry in self._used.items() if expiry + 60 > now}
        key = (ticket.stream, ticket.side)
        if key in self._used:
            raise InvalidTokenError(f"the router token of the {ticket.side} was used before: dial again")
        self._used[key] = ticket.expiry

    async def _wait_for_peer(self, stream: Stream) -> None:
        ends: set[asyncio.Future[Any]] = {asyncio.ensure_future(stream.paired.wait()), stream.done}
        try:
            await asyncio.wait(ends, timeout=self._lone_timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ends.discard(stream.done)
            for waiting in ends:
                waiting.cancel()
        if not stream.paired.is_set():
            stream.finish(f"the other side did not come within {self._lone_timeout:g} s")
            await stream.done

    async def _carry(self, stream: Stream, side: Side, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Copy this side's frames to the other one, until the stream is done."""
        other = stream.ends[Side.EXPORTER if side is Side.CLIENT else Side.CLIENT]
        copying = asyncio.ensure_future(self._copy(stream, context, other))
        try:
            await asyncio.shield(stream.done)
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)

    async def _copy(
        self,
        stream: Stream,
        source: grpc.aio.ServicerContext[Any, Any],
        target: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        try:
            while (frame := await source.read()) is not grpc.aio.EOF:
                await target.write(frame)
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError) as error:
            stream.finish(f"the other side went away ({type(error).__name__})")
            return
        stream.direction_ended()


def bearer_token(metadata: Any) -> str:
    """The token in the call's metadata. Raises InvalidTokenError unless there is exactly one."""
    values = [str(value) for key, value in metadata or () if key == "authorization"]
    scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidTokenError(
            "the call carries no router token: expected 'authorization: Bearer TOKEN' once"
        )
    return token
