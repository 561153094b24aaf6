"""A byte stream over a RouterService.Stream call of gRPC's asyncio interface, on either side of it.

Frames are those of router.proto: DATA with a payload, and GOAWAY when a direction ends. Other frames carry nothing that a
reader of bytes wants.
"""

from __future__ import annotations

from asyncio import InvalidStateError
from contextlib import suppress
from typing import Any

import grpc
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ObjectStream

from .frames import DATA, GOAWAY, MAX_MESSAGE, split

#: What gRPC raises from a call that is over; the last one is asyncio's.
_OVER = (grpc.RpcError, grpc.aio.UsageError, grpc.aio.InternalError, InvalidStateError)

#: Ends of a call that mean no more than that: stock exporters abort theirs.
_NORMAL_ENDS = (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED)


class RouterStream(ObjectStream[bytes]):
    """*context* is what a client's ``RouterServiceStub.Stream()`` gave, or what a servicer's ``Stream`` was called with.

    A chunk above 4 MiB, which gRPC would refuse, is sent in pieces. Closing ends a client's call; a servicer ends its own by
    returning.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self._is_client = hasattr(context, "done_writing")
        self._eof_sent = False
        self._ended = False
        self._closed = False

    async def send(self, item: bytes) -> None:
        if self._closed or self._eof_sent:
            raise ClosedResourceError
        for _, payload in split(bytes(item), MAX_MESSAGE):
            await self._write(payload, DATA)

    async def _write(self, payload: bytes, frame_type: int) -> None:
        from jumpstarter_protocol import router_pb2

        message = router_pb2.StreamRequest if self._is_client else router_pb2.StreamResponse
        try:
            await self._context.write(message(payload=payload, frame_type=frame_type))  # type: ignore[arg-type]
        except _OVER as error:
            raise BrokenResourceError(str(error)) from error

    async def receive(self) -> bytes:
        if self._closed:
            raise ClosedResourceError
        while not self._ended:
            frame = await self._read()
            if frame is None or frame.frame_type == GOAWAY:
                self._ended = True
            elif frame.frame_type == DATA and frame.payload:
                return bytes(frame.payload)
        raise EndOfStream

    async def _read(self) -> Any:
        """The next frame; None at the end of the call."""
        try:
            frame = await self._context.read()
        except grpc.aio.AioRpcError as error:
            if error.code() in _NORMAL_ENDS:
                return None
            raise BrokenResourceError(error.details() or error.code().name) from error
        except _OVER as error:
            raise BrokenResourceError(str(error)) from error
        if frame is not grpc.aio.EOF:
            return frame
        # A client's call that failed may end its reading like one that did not.
        if self._is_client and (code := await self._context.code()) not in _NORMAL_ENDS:
            raise BrokenResourceError(await self._context.details() or code.name)
        return None

    async def send_eof(self) -> None:
        if self._eof_sent:
            return
        self._eof_sent = True
        await self._write(b"", GOAWAY)
        if self._is_client:
            with suppress(*_OVER):
                await self._context.done_writing()

    async def aclose(self) -> None:
        if self._closed:
            return
        try:
            await self.send_eof()
        except BrokenResourceError:
            # The other side was faster.
            return
        finally:
            self._closed = True
            if self._is_client:
                self._context.cancel()
