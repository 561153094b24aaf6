"""RouterService on an exporter: byte streams of drivers and resources.

A stream occupies two threads: the call's own, which sends frames, and one that takes the client's. A driver's stream runs
as a task on the session's loop, joined to these threads by two pipes; one that is a plain socket is served by the threads
alone, without a loop in between.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import grpc

from jumpstarter.common.errors import ERROR_TYPE_KEY, status_of, type_name
from jumpstarter.common.memory import keep_buffers
from jumpstarter.common.streams import (
    BYTE_SEMANTICS_KEY,
    CLOSES,
    REQUEST_KEY,
    DriverStreamRequest,
    ResourceStreamRequest,
    parse_stream_request,
)
from jumpstarter.driver.decorators import MARKER_STREAMCALL
from jumpstarter.streams.frames import (
    DATA,
    GOAWAY,
    GOAWAY_FRAME,
    MAX_MESSAGE,
    MAX_PAYLOAD,
    RST_STREAM,
    Frame,
    split,
)
from jumpstarter.streams.pipe import Pipe

from .executor import MAX_STREAMS

if TYPE_CHECKING:
    from . import Session

logger = logging.getLogger("jumpstarter.session")


#: Seconds in which gRPC tells that a call broke, after its frames have ended.
BREAK_TIMEOUT: Final = 2.0


class RouterService:
    """The handler of Stream."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._places = threading.BoundedSemaphore(MAX_STREAMS)

    def Stream(self, frames: Iterator[Frame], context: grpc.ServicerContext) -> Iterator[Frame]:  # noqa: N802
        if not self._places.acquire(blocking=False):
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the exporter has {MAX_STREAMS} streams open, and opens no more: close some of them",
            )
        try:
            yield from self._serve(frames, context)
        finally:
            self._places.release()

    def _serve(self, frames: Iterator[Frame], context: grpc.ServicerContext) -> Iterator[Frame]:
        metadata = dict(context.invocation_metadata())
        try:
            self._session.status.check_open()
            request = parse_stream_request(metadata.get(REQUEST_KEY))
            if isinstance(request, ResourceStreamRequest):
                yield from self._resource(request, frames, context)
            else:
                yield from self._driver(request, frames, context)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - becomes the status of the call, also what ends programs
            code, details = status_of(error)
            context.set_trailing_metadata(((ERROR_TYPE_KEY, type_name(error)),))
            context.abort(code, details)

    def _resource(
        self, request: ResourceStreamRequest, frames: Iterator[Frame], context: grpc.ServicerContext
    ) -> Iterator[Frame]:
        from jumpstarter.driver.resources import PipeSource, register

        driver = self._session.methods.driver(str(request.uuid))
        call = _Call(self._session, frames, context)
        source = PipeSource(call.incoming, call.outgoing)
        encoding = request.x_jmp_content_encoding
        uuid, told = register(driver.resources, source, encoding, self._session.encodings)
        # A handle that nobody uses goes with its stream.
        call.on_end(lambda: driver.resources.pop(uuid, None))
        context.send_initial_metadata((*told.items(), CLOSES))
        call.start_reading()
        yield from call.outgoing_frames(merge=True)
        call.wait_for_client()

    def _driver(
        self, request: DriverStreamRequest, frames: Iterator[Frame], context: grpc.ServicerContext
    ) -> Iterator[Frame]:
        from .driver_stream import DriverStream

        method = self._session.methods.find(str(request.uuid), request.method, MARKER_STREAMCALL)
        call = _Call(self._session, frames, context)
        stream = DriverStream(method([]), self._session.portal, call.incoming, call.outgoing)
        call.on_end(stream.close)
        opened = stream.open()
        initial = (*opened.metadata.items(), CLOSES)
        if opened.byte_semantics:
            initial += ((BYTE_SEMANTICS_KEY, "1"),)
        context.send_initial_metadata(initial)
        if opened.socket is not None:
            yield from call.serve_socket(opened.socket)
        else:
            call.abandoned = stream.abandon
            call.start_reading()
            yield from call.outgoing_frames(merge=opened.byte_semantics)
        stream.wait()
        call.wait_for_client()


class _Call:
    """One Stream call: the pipes between its two threads and whoever serves the stream."""

    def __init__(self, session: Session, frames: Iterator[Frame], context: grpc.ServicerContext) -> None:
        keep_buffers()
        self._session = session
        self._frames = frames
        self.incoming = Pipe()
        self.outgoing = Pipe()
        self._lock = threading.Lock()
        self._at_end: list[Callable[[], object]] = []
        self._over = threading.Event()
        self._arrived = 0
        #: Called when the client will not read any more: it has closed its end, and its data has arrived.
        self.abandoned: Callable[[], None] = self.outgoing.finish
        self._reader: Future[Any] | None = None
        if not context.add_callback(self._end):
            self._end()

    def on_end(self, action: Callable[[], object]) -> None:
        """Run *action* when the call is over, however it ends; now, if it is over already."""
        with self._lock:
            if not self._over.is_set():
                self._at_end.append(action)
                return
        action()

    def _end(self) -> None:
        with self._lock:
            self._over.set()
        reason = f"the client went away before the stream ended, after {self._arrived} bytes"
        self.incoming.close(ConnectionAbortedError(reason))
        self.outgoing.close()
        for action in self._at_end:
            action()

    def start_reading(self) -> None:
        """Take the client's frames on a thread of their own."""
        self._reader = self._session.executor.submit(self._read, self.incoming.put, self.incoming.finish)

    def _read(self, put: Callable[[bytes], bool], finish: Callable[[], None]) -> None:
        """Take frames until the client half-closes the call. GOAWAY ends its data; RST_STREAM says that it wants none."""
        ended = False
        # A call that ended in between raises from the iterator; `_end` closes the pipes then.
        with suppress(Exception):
            for kind, payload in self._frames:
                if kind == DATA and payload:
                    put(payload)
                    self._arrived += len(payload)
                elif kind == GOAWAY:
                    ended = True
                    finish()
                elif kind == RST_STREAM:
                    self.abandoned()
            # The frames of a client that was killed may seem to end well, a moment before gRPC tells that the call broke.
            # Every known client says GOAWAY first, so only data that may be cut waits here.
            if not ended and not self._over.wait(BREAK_TIMEOUT):
                finish()

    def wait_for_client(self) -> None:
        """Wait until the client has closed its side.

        A stock client tells late that it sends nothing. If the call were over by then, that write would fail, and a failed
        write makes grpc.aio forget the frames that it has received and not given out yet: the client would take the first
        part of a file for the whole.
        """
        if self._reader is not None:
            self._reader.result()

    def outgoing_frames(self, *, merge: bool) -> Iterator[Frame]:
        """Frames of what is written to `outgoing`, then GOAWAY."""
        pipe = self.outgoing
        while (chunk := pipe.get_merged(MAX_PAYLOAD) if merge else pipe.get()) is not None:
            yield from split(chunk, MAX_PAYLOAD if merge else MAX_MESSAGE)
        yield GOAWAY_FRAME

    def serve_socket(self, sock: Any) -> Iterator[Frame]:
        """Join the call and a connected socket: one thread each way."""
        from jumpstarter.streams.sockets import SocketPump

        pump = SocketPump(sock)
        self.abandoned = pump.close
        self.on_end(pump.close)
        self._reader = self._session.executor.submit(self._read, pump.write, pump.finish)
        while (chunk := pump.read()) is not None:
            yield DATA, chunk
        yield GOAWAY_FRAME
        self.wait_for_client()
        pump.close()
