"""anyio streams over pipes: how a coroutine meets a gRPC call that threads serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anyio import BrokenResourceError, CancelScope, ClosedResourceError, EndOfStream, to_thread
from anyio.abc import ObjectStream

from .metadata import MetadataStreamAttributes
from .pipe import Pipe


class PipeStream(ObjectStream[bytes]):
    """A stream of byte chunks whose two directions are pipes that someone else fills and drains.

    *on_close* runs once, on a worker thread, when the stream is closed; *metadata* is what the peer told at its opening.
    """

    def __init__(
        self,
        incoming: Pipe,
        outgoing: Pipe,
        *,
        on_close: Callable[[], None] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._on_close = on_close
        self._metadata = dict(metadata or {})
        self._closed = False

    async def send(self, item: bytes) -> None:
        if self._closed:
            raise ClosedResourceError
        if not await self._outgoing.aput(bytes(item)):
            raise BrokenResourceError

    async def receive(self, max_bytes: int | None = None) -> bytes:
        if self._closed:
            raise ClosedResourceError
        chunk = await self._incoming.aget()
        if chunk is None:
            raise EndOfStream
        return chunk

    async def send_eof(self) -> None:
        self._outgoing.finish()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._outgoing.finish()
            self._incoming.close()
            if self._on_close is not None:
                with CancelScope(shield=True):
                    await to_thread.run_sync(self._on_close)

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {MetadataStreamAttributes.metadata: lambda: self._metadata}
