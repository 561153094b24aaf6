"""The exporter's end of resources: data that a client streams, or that a presigned URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Iterator
from typing import IO, TYPE_CHECKING, Any, Protocol
from uuid import UUID, uuid4

from jumpstarter.common.resources import (
    ClientStreamResource,
    PresignedRequestResource,
    parse_resource,
    resource_dict,
)
from jumpstarter.common.streams import ACCEPT_ENCODING_KEY, RESOURCE_KEY
from jumpstarter.streams.compression import Deflater, Inflater
from jumpstarter.streams.pipe import Pipe

if TYPE_CHECKING:
    from jumpstarter.common.fetching import FetchPolicy


class Source(Protocol):
    """Where a resource's bytes come from and go to."""

    def get(self) -> bytes | None: ...
    async def aget(self) -> bytes | None: ...
    def put(self, chunk: bytes) -> bool: ...
    async def aput(self, chunk: bytes) -> bool: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...


class PipeSource:
    """A resource that a client streams: its two pipes are served by the session's Stream call."""

    def __init__(self, incoming: Pipe, outgoing: Pipe) -> None:
        #: False when the client was not told that its encoding is taken: it sends and gets plain bytes then.
        self.is_encoded = True
        self._incoming, self._outgoing = incoming, outgoing
        self.get, self.aget = incoming.get, incoming.aget
        self.put, self.aput = outgoing.put, outgoing.aput

    def finish(self) -> None:
        self._outgoing.finish()
        self._incoming.close()

    def abandon(self) -> None:
        self._outgoing.close()
        self._incoming.close()


class ResourceStream:
    """A resource while a driver uses it.

    A plain method iterates it and calls `write`; a coroutine iterates it with ``async for`` (or awaits `receive`) and awaits
    `send`. Bytes are plain on this side, whatever compression they have on the way. `url` is where the exporter itself fetches
    it from, None for what a client sends.
    """

    def __init__(self, source: Source, encoding: str | None = None, *, url: str | None = None) -> None:
        self._source = source
        self.url = url
        self._inflater = Inflater(encoding) if encoding else None
        self._encoding = encoding
        self._deflater: Deflater | None = None

    @property
    def coding(self) -> str | None:
        """The Content-Encoding that is undone while an address is fetched; known once something was read."""
        body = getattr(self._source, "body", None)
        return None if body is None else body.coding

    # --- for plain methods ---

    def read(self) -> bytes | None:
        """The next bytes, or None at the end. Raises ValueError when the data is not what its encoding says, or is cut."""
        if self._inflater is None:
            return self._source.get()
        while (out := self._inflater.next()) is None:
            if self._inflater.ended:
                return None
            self._inflater.push(self._source.get())
        return out

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self.read()) is not None:
            yield chunk

    def write(self, data: bytes) -> None:
        """Send bytes to whoever gave the handle. Raises BrokenPipeError when they are gone."""
        data = self._deflate(data)
        if data and not self._source.put(data):
            raise BrokenPipeError("the client closed the resource before all was written")

    def finish(self) -> None:
        """All was read and written."""
        if self._deflater is not None:
            self._source.put(self._deflater.flush())
        self._source.finish()

    def abandon(self) -> None:
        """The driver failed half-way."""
        self._source.abandon()

    # --- for coroutines ---

    async def receive(self, max_bytes: int | None = None) -> bytes:
        """The next bytes. Raises anyio.EndOfStream at the end; ValueError as `read`."""
        chunk = await self._receive()
        if chunk is None:
            from anyio import EndOfStream

            raise EndOfStream
        return chunk

    async def _receive(self) -> bytes | None:
        if self._inflater is None:
            return await self._source.aget()
        while (out := self._inflater.next()) is None:
            if self._inflater.ended:
                return None
            self._inflater.push(await self._source.aget())
        return out

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._receive()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def send(self, item: bytes) -> None:
        """Send bytes to whoever gave the handle. Raises anyio.BrokenResourceError when they are gone."""
        data = self._deflate(bytes(item))
        if data and not await self._source.aput(data):
            from anyio import BrokenResourceError

            raise BrokenResourceError

    async def send_eof(self) -> None:
        """Accepted for symmetry with anyio streams; the end is sent when the resource is left."""

    async def aclose(self) -> None:
        """Accepted for symmetry with anyio streams; the resource is closed when it is left."""

    async def finish_async(self) -> None:
        """`finish`, for coroutines."""
        if self._deflater is not None:
            await self._source.aput(self._deflater.flush())
        await _off_loop(self._source, self._source.finish)

    async def abandon_async(self) -> None:
        """`abandon`, for coroutines."""
        self._source.abandon()

    def _deflate(self, data: bytes) -> bytes:
        if self._encoding is None:
            return data
        if self._deflater is None:
            self._deflater = Deflater(self._encoding)
        return self._deflater.compress(data)


async def _off_loop(source: Source, action: Callable[[], None]) -> None:
    """Pipes never block on finishing; a presigned upload does."""
    if isinstance(source, PipeSource):
        action()
        return
    from anyio import to_thread

    await to_thread.run_sync(action)


def register(
    resources: dict[UUID, Any], source: PipeSource, encoding: str | None, available: Container[str]
) -> tuple[UUID, dict[str, str]]:
    """Make a client's stream known to the driver whose *resources* these are.

    *encoding* is what the client would like to send, *available* are the compressions there are. Gives the uuid of the handle,
    and the metadata that tells the client of it.
    """
    import json

    accepted = encoding if encoding is not None and encoding in available else None
    handle = ClientStreamResource(uuid=uuid4(), x_jmp_content_encoding=accepted)
    source.is_encoded = encoding is None or accepted is not None
    resources[handle.uuid] = source
    told = {RESOURCE_KEY: json.dumps({**resource_dict(handle), "x_jmp_content_encoding": encoding})}
    if encoding is None or accepted is not None:
        # Without the key the client has to send plain bytes.
        told[ACCEPT_ENCODING_KEY] = accepted or ""
    return handle.uuid, told


def open_resource(
    resources: dict[UUID, Any], handle: Any, *, timeout: int, policy: FetchPolicy | None = None
) -> ResourceStream:
    """The stream behind *handle*; see `Driver.resource`. *policy* is for presigned URLs."""
    resource = parse_resource(handle)
    if isinstance(resource, PresignedRequestResource):
        return ResourceStream(PresignedSource(resource, timeout, policy), url=resource.url)
    source = resources.pop(resource.uuid, None)
    if source is None:
        raise KeyError(
            f"no resource {resource.uuid} at this driver: a handle is valid once, and only where it was made"
        )
    is_encoded = getattr(source, "is_encoded", True)
    return ResourceStream(source, resource.x_jmp_content_encoding if is_encoded else None)


class PresignedSource:
    """A resource behind a URL. Reading starts the GET; what is written is kept in a file and PUT at the end,

    because storage services want to know the length beforehand.
    """

    def __init__(
        self, request: PresignedRequestResource, timeout: int, policy: FetchPolicy | None = None
    ) -> None:
        self._request = request
        self._timeout = timeout
        self._policy = policy
        self.body: Any = None
        self._spool: IO[bytes] | None = None

    def get(self) -> bytes | None:
        from jumpstarter.common.presigned import open_get

        if self.body is None:
            self.body = open_get(self._request, self._timeout, self._policy)
        return self.body.read(1 << 20) or None

    async def aget(self) -> bytes | None:
        from anyio import to_thread

        return await to_thread.run_sync(self.get)

    def put(self, chunk: bytes) -> bool:
        import tempfile

        if self._spool is None:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish and abandon
        self._spool.write(chunk)
        return True

    async def aput(self, chunk: bytes) -> bool:
        from anyio import to_thread

        return await to_thread.run_sync(self.put, chunk)

    def finish(self) -> None:
        from jumpstarter.common.presigned import put

        try:
            if self._request.method == "PUT":
                self.put(b"")
                assert self._spool is not None
                put(self._request, self._spool, self._timeout, self._policy)
        finally:
            self.abandon()

    def abandon(self) -> None:
        for file in (self.body, self._spool):
            if file is not None:
                file.close()
