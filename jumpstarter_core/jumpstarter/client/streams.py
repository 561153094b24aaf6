"""Byte streams of a client for coroutines, and the data that it lends to drivers."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

from jumpstarter.common.exceptions import DriverError
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
    encoding = request.x_jmp_content_encoding

    def source(metadata: Mapping[str, str]) -> Iterable[bytes]:
        # An exporter that cannot read the encoding does not tell that it accepts it.
        return chunks if encoding is None or ACCEPT_ENCODING_KEY in metadata else inflated(chunks, encoding)

    call = CallStream(stub, request, source)
    try:
        yield handle_of(call)
    except BaseException:
        call.cancel()
        if call.error is not None:
            raise call.error from None
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
    except BaseException:
        call.cancel()
        thread.join(DRAIN_TIMEOUT)
        # A stream that broke is a consequence; a file that cannot be written is the cause.
        if errors and not _is_break(errors[0]):
            raise errors[0] from None
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
        raise reason or errors[0]
    if thread.is_alive():
        raise DriverError(
            f"the exporter did not end the data within {DRAIN_TIMEOUT:g} s after its last bytes"
        )


def _is_break(error: BaseException) -> bool:
    from anyio import BrokenResourceError

    return isinstance(error, BrokenResourceError)


def file_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of *file*, in pieces as large as frames may be."""
    while chunk := file.read(MAX_PAYLOAD):
        yield chunk
