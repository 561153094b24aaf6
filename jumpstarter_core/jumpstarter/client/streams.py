"""Byte streams of a client for coroutines, and the data that it lends to drivers."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

from jumpstarter.common.exceptions import ConnectionError, DriverError, JumpstarterException
from jumpstarter.common.interrupts import start_thread
from jumpstarter.common.memory import keep_buffers
from jumpstarter.common.streams import ACCEPT_ENCODING_KEY, RESOURCE_KEY, ResourceStreamRequest, StreamRequest
from jumpstarter.streams.compression import Deflater, inflated
from jumpstarter.streams.frames import MAX_PAYLOAD
from jumpstarter.streams.pipe import Pipe

from .transport import CallStream, ExporterStub

if TYPE_CHECKING:
    from jumpstarter.streams.bridge import PipeStream

#: Seconds without progress, for the last bytes of a resource after the driver has returned.
DRAIN_TIMEOUT: Final = 60.0
#: Seconds to learn that a stream broke, once a call on the same connection has.
BREAK_TIMEOUT: Final = 1.0


def open_async(stub: ExporterStub, request: StreamRequest) -> PipeStream:
    """A stream as an anyio stream. Blocks while it is opened: call it on a worker thread."""
    from jumpstarter.streams.bridge import PipeStream

    call = CallStream(stub, request)
    incoming = Pipe()
    call.pump_into(incoming)
    return PipeStream(incoming, call.outgoing, on_close=call.close, metadata=call.metadata)


@contextmanager
def lend_reader(
    stub: ExporterStub, request: ResourceStreamRequest, chunks: Iterable[bytes]
) -> Generator[dict[str, Any]]:
    """A handle under which a driver reads *chunks*. An error of *chunks* is raised when the context is left."""
    encoding, sent = request.x_jmp_content_encoding, 0

    def source(metadata: Mapping[str, str]) -> Iterator[bytes]:
        nonlocal sent
        # An exporter that cannot read the encoding does not tell that it accepts it.
        plain = encoding is None or ACCEPT_ENCODING_KEY in metadata
        for chunk in chunks if plain or encoding is None else inflated(chunks, encoding):
            yield chunk
            sent += len(chunk)

    call = CallStream(stub, request, source)
    try:
        yield handle_of(call)
    except BaseException as error:
        broke = _broke(call, error)
        call.cancel()
        if call.error is not None:
            raise call.error from None
        if broke:
            tell_cut(error, f"{sent} bytes had been sent, not all of which may have arrived")
        raise
    call.cancel()
    if call.error is not None:
        raise call.error


def handle_of(call: CallStream) -> dict[str, Any]:
    """The handle that the exporter has given to what *call* lends. Raises DriverError when it has given none."""
    try:
        return dict(json.loads(call.metadata[RESOURCE_KEY]))
    except (KeyError, ValueError):
        call.cancel()
        raise DriverError(
            "the exporter gave no handle for the data: it does not speak Jumpstarter's protocol"
        ) from None


@contextmanager
def lend_writer(
    stub: ExporterStub, request: ResourceStreamRequest, file: IO[bytes]
) -> Generator[dict[str, Any]]:
    """A handle under which a driver writes into *file*. Leaving the context waits for the last bytes."""
    keep_buffers()
    call = CallStream(stub, request)
    call.send_eof()
    encoding = request.x_jmp_content_encoding
    # An exporter that cannot write the encoding does not tell that it accepts it.
    deflater = Deflater(encoding) if encoding and ACCEPT_ENCODING_KEY not in call.metadata else None
    errors: list[BaseException] = []
    received = 0

    def receive() -> None:
        nonlocal received
        try:
            while (chunk := call.receive()) is not None:
                file.write(deflater.compress(chunk) if deflater else chunk)
                received += len(chunk)
            if deflater:
                file.write(deflater.flush())
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            errors.append(error)
            call.cancel()

    thread = start_thread(receive, name="jumpstarter-resource")
    try:
        yield handle_of(call)
    except BaseException as error:
        broke = _broke(call, error)
        call.cancel()
        thread.join(DRAIN_TIMEOUT)
        # A stream that broke is a consequence; a file that cannot be written is the cause.
        if errors and not _is_break(errors[0]):
            raise errors[0] from None
        if broke:
            tell_cut(error, f"{received} bytes had arrived")
        raise
    # Without it the end of what a driver never opened would never come.
    call.say_done()
    before = -1
    while thread.is_alive() and received != before:
        before = received
        thread.join(DRAIN_TIMEOUT)
    call.close()
    if errors:
        reason = errors[0].__cause__ if _is_break(errors[0]) else None
        if reason is not None:
            tell_cut(reason, f"{received} bytes had arrived")
        raise reason or errors[0]
    if thread.is_alive():
        raise DriverError(
            f"the exporter did not end the data within {DRAIN_TIMEOUT:g} s after its last bytes"
        )


def _broke(call: CallStream, error: BaseException) -> bool:
    """Whether *error* came with the break of the connection under *call*. Both end at the same time, in any order."""
    return isinstance(error, JumpstarterException) and call.broke(
        BREAK_TIMEOUT if isinstance(error, ConnectionError) else 0
    )


def tell_cut(error: BaseException, how_far: str) -> None:
    """Have *error* tell how far the transfer came."""
    if isinstance(error, JumpstarterException):
        error.add(f"the transfer was cut when {how_far}")


def _is_break(error: BaseException) -> bool:
    from anyio import BrokenResourceError

    return isinstance(error, BrokenResourceError)


def file_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of *file*, in pieces as large as frames may be."""
    while chunk := file.read(MAX_PAYLOAD):
        yield chunk
