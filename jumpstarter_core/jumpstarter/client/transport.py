"""The way to one exporter: a gRPC channel with its methods, and the byte streams over it.

Everything runs in the caller's thread; only a stream that a coroutine reads needs a thread that takes its frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import grpc

from jumpstarter.common.errors import driver_error
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.grpc import FLOW
from jumpstarter.common.interrupts import Flag, Shield, start_thread
from jumpstarter.common.shell_waits import shell_waits
from jumpstarter.common.streams import BYTE_SEMANTICS_KEY, CLOSES, REQUEST_KEY, StreamRequest
from jumpstarter.streams.frames import (
    DATA,
    GOAWAY,
    GOAWAY_FRAME,
    MAX_MESSAGE,
    MAX_PAYLOAD,
    RST_STREAM,
    Frame,
    decode_frame,
    encode_frame,
    split,
)
from jumpstarter.streams.pipe import Pipe

from .rpc import StreamCall, Unary

if TYPE_CHECKING:
    from .patience import Session, Waits
    from .recovery import Recovery

#: Ends of a call that mean no more than that: stock exporters abort theirs.
_NORMAL_ENDS: Final = (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED)

#: How exporters answer who asks for a driver that they do not have: ours, and stock ones.
_UNKNOWN_DRIVER: Final = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN)

#: Seconds that closing waits for the exporter to have taken the last bytes.
CLOSE_TIMEOUT: Final = 10.0
#: The same for stock exporters, which never tell: their sockets are near, and the bytes are under way.
STOCK_CLOSE_TIMEOUT: Final = 0.2

#: Seconds that an exporter gets to tell what it has. gRPC itself gives up a connection that is not answered after 20.
REPORT_TIMEOUT: Final = 30.0

OPTIONS: Final = (
    *FLOW,
    # Items are taken from the wire by the thread that asks for them.
    ("SingleThreadedUnaryStream", 1),
    # Frames are 4 MiB at the most, and so are results; stock exporters send larger chunks of streams whole.
    ("grpc.max_receive_message_length", 64 << 20),
)


class ExporterStub:
    """The methods of ExporterService and RouterService on *channel*, as attributes.

    Those that reach drivers look first, after `lost`, whether the exporter is still the one that the client is acquainted with.
    Where nobody noticed that it is another one, `moved` finds out what became of a driver that it does not know.
    """

    #: (its report, the root of the clients made of it); None when nobody asked for the report.
    acquaintance: tuple[Any, Any] | None = None
    #: Has calls wait when the connection broke; None for a stub whose calls fail then.
    recovery: Recovery | None = None

    def __init__(self, channel: grpc.Channel) -> None:
        from jumpstarter_protocol.jumpstarter.v1 import jumpstarter_pb2_grpc

        self.channel = channel
        self._followed = threading.Lock()
        self._renamed: dict[str, str] = {}
        self._exporter = jumpstarter_pb2_grpc.ExporterServiceStub(channel)  # type: ignore[no-untyped-call]
        self._stream: Any = channel.stream_stream(
            "/jumpstarter.v1.RouterService/Stream",
            request_serializer=encode_frame,
            response_deserializer=decode_frame,
        )
        self._driver_call: Any = Unary(self._exporter.DriverCall)
        self.GetReport = Unary(self._exporter.GetReport)
        self.GetStatus = Unary(self._exporter.GetStatus)
        self.EndSession = Unary(self._exporter.EndSession)
        self._use_directly()

    def recover(self, waits: Waits, session: Session) -> Recovery:
        """Have calls wait, as *waits* says, when the connection to *session* breaks."""
        from .recovery import Recovery

        self.recovery = Recovery(self, waits, session)
        if self.recovery.named is not None:
            self._driver_call = self.recovery.named
        self._use_directly()
        return self.recovery

    def _use_directly(self) -> None:
        # Found without the detour by __getattr__: they are a part of every call.
        self.DriverCall: Any = self._driver_call
        self.StreamingDriverCall: Any = self._exporter.StreamingDriverCall
        self.Stream: Any = self._stream

    def lost(self) -> None:
        """The connection broke: the exporter behind the next one may have been started anew."""
        if self.recovery is not None:
            self.recovery.lost()
        if self.acquaintance is not None:
            self.DriverCall = partial(self._looking_first, self._driver_call)
            self.StreamingDriverCall = partial(self._looking_first, self._exporter.StreamingDriverCall)
            self.Stream = partial(self._looking_first, self._stream)

    def _looking_first(self, method: Any, request: Any, metadata: Any = (), **options: Any) -> Any:
        if self.recovery is not None:
            self.recovery.ready()
        self._look()
        renamed = self._renamed
        if renamed and hasattr(request, "uuid"):
            request.uuid = renamed.get(request.uuid, request.uuid)
        if metadata:
            options["metadata"] = [(key, _replaced(value, renamed)) for key, value in metadata]
        return method(request, **options)

    def moved(self, error: grpc.RpcError, uuid: str) -> str | None:
        """The UUID that the driver *uuid* has now, if *error* is that an exporter that was started anew does not know it."""
        if (
            error.code() not in _UNKNOWN_DRIVER
            or uuid not in (error.details() or "")
            or not self.acquaintance
        ):
            return None
        self._look()
        return self._renamed.get(uuid)

    def _look(self) -> None:
        """Find out what became of the drivers. Nothing happens when the exporter cannot be reached: the call will tell."""
        from google.protobuf.empty_pb2 import Empty

        from .restarts import follow

        try:
            report = self.GetReport(Empty(), timeout=report_timeout())
        except grpc.RpcError:
            return
        with Shield(), self._followed:
            assert self.acquaintance is not None
            self._use_directly()
            before, root = self.acquaintance
            self.acquaintance = report, root
            renamed = follow(before, root, report)
            self._renamed = {old: renamed.get(new, new) for old, new in self._renamed.items()} | renamed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)


def report_timeout() -> float:
    """Seconds for an exporter to tell what it has; a shell may wait for its own."""
    return REPORT_TIMEOUT + shell_waits()


def _replaced(text: str, renamed: Mapping[str, str]) -> str:
    """*text* with the new UUIDs in it."""
    for old, new in renamed.items():
        text = text.replace(old, new)
    return text


def moved(stub: Any, error: grpc.RpcError, uuid: str) -> str | None:
    """As `ExporterStub.moved`; None for a stub of another kind."""
    return stub.moved(error, uuid) if isinstance(stub, ExporterStub) else None


def recovers(stub: Any, error: grpc.RpcError) -> bool:
    """Whether *error* is that the connection broke, and the next call of *stub* waits for another one."""
    note_loss(stub, error)
    return error.code() is grpc.StatusCode.UNAVAILABLE and getattr(stub, "recovery", None) is not None


def note_loss(stub: Any, error: grpc.RpcError) -> None:
    """Have *stub* look at the exporter before its next call, if *error* is that the connection broke."""
    if error.code() is grpc.StatusCode.UNAVAILABLE and isinstance(stub, ExporterStub):
        stub.lost()


#: Seconds to learn that a stream was refused, where the answer has no metadata that would tell.
_REFUSAL: Final = 0.02

#: What to send, given the metadata of the exporter's answer.
Source = Callable[[Mapping[str, str]], Iterable[bytes]]


class _Outgoing:
    """What a stream sends, for gRPC's thread that takes it. It knows nothing of the stream, which may be forgotten meanwhile."""

    def __init__(self, source: Source | None) -> None:
        self.pipe = Pipe()
        self.error: BaseException | None = None
        #: Bytes that were given to gRPC.
        self.count = 0
        self.metadata: Mapping[str, str] = {}
        self.cancel: Callable[[], object] = self.pipe.close
        #: The exporter's answer is known, or will not come.
        self.opened = Flag()
        #: Whoever has the stream awaits no more.
        self.closing = Flag()
        #: gRPC has taken the last frame.
        self.sent = Flag()
        #: The call has ended.
        self.done = Flag()
        self._source = source

    def on_done(self) -> None:
        """The call has ended: nobody has to wait for anything."""
        self.done.set()
        self.pipe.close()
        for flag in (self.opened, self.closing, self.sent):
            flag.set()

    def frames(self) -> Iterator[Frame]:
        """All frames that are sent."""
        # The exporter's answer decides how chunks may be cut.
        self.opened.wait()
        if self.done.is_set():
            return  # it was refused: the bytes are for another one
        merge = self.metadata.get(BYTE_SEMANTICS_KEY) == "1"
        limit = MAX_PAYLOAD if merge or self._source is not None else MAX_MESSAGE
        try:
            for chunk in self._queued(merge) if self._source is None else self._source(self.metadata):
                yield from split(chunk, limit)
                self.count += len(chunk)
        except Exception as error:  # noqa: BLE001 - kept for whoever asks
            self.error = error
            self.cancel()
            return
        yield GOAWAY_FRAME
        self.closing.wait()
        yield RST_STREAM, b""
        self.sent.set()

    def _queued(self, merge: bool) -> Iterator[bytes]:
        while (chunk := self.pipe.get_merged(MAX_PAYLOAD) if merge else self.pipe.get()) is not None:
            yield chunk


class CallStream:
    """A byte stream of a driver or resource, for threads: one may send while another receives.

    *source* gives the bytes to send; without it they are what `send` queues. `error` is what *source* raised: the stream
    is then cut, so that the exporter never takes a part for the whole. One that is forgotten is cut, too. Raises as
    `driver_error` when the exporter refuses.
    """

    def __init__(self, stub: ExporterStub, request: StreamRequest, source: Source | None = None) -> None:
        self._method = getattr(request, "method", "resource")
        self._stub = stub
        self._ended = False
        self._closed = False
        self._discarding = False
        self._received = 0
        self._reading = threading.Lock()
        try:
            self._open(request, source)
        except grpc.RpcError as error:
            new = str(request.uuid) if recovers(stub, error) else moved(stub, error, str(request.uuid))
            if new is None:
                raise self._failure(error) from None
            self._discarding = False
            self._open_again(replace(request, uuid=UUID(new)), source)
        self._close_timeout = CLOSE_TIMEOUT if CLOSES[0] in self.metadata else STOCK_CLOSE_TIMEOUT

    def _open_again(self, request: StreamRequest, source: Source | None) -> None:
        try:
            self._open(request, source)
        except grpc.RpcError as error:
            raise self._failure(error) from None

    def _open(self, request: StreamRequest, source: Source | None) -> None:
        """Open it. Raises grpc.RpcError when the exporter refuses."""
        self._out = _Outgoing(source)
        frames, metadata = self._out.frames(), ((REQUEST_KEY, request.to_json()),)
        try:
            self._call = StreamCall(lambda: self._stub.Stream(frames, metadata=metadata))
        except BaseException:
            self._out.on_done()
            raise
        self._out.cancel = self._call.canceller()
        self._call.on_done(self._out.on_done)
        try:
            self._out.metadata = self._initial_metadata()
        except BaseException:
            self.cancel()
            raise
        self._out.opened.set()

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the exporter said when it took the stream."""
        return self._out.metadata

    def broke(self, timeout: float = 0.0) -> bool:
        """Whether the connection broke under the stream; it may take up to *timeout* seconds to be known."""
        return self._out.done.wait(timeout) and self._call.code() is grpc.StatusCode.UNAVAILABLE

    @property
    def error(self) -> BaseException | None:
        """What *source* raised."""
        return self._out.error

    def _initial_metadata(self) -> Mapping[str, str]:
        metadata = {key: str(value) for key, value in self._call.initial_metadata() or ()}
        if not metadata and self._out.done.wait(_REFUSAL) and self._call.code() not in _NORMAL_ENDS:
            raise self._call.error()
        return metadata

    def _failure(self, error: grpc.RpcError) -> Exception:
        note_loss(self._stub, error)
        return driver_error(error, self._method)

    def put(self, data: bytes) -> bool:
        """Queue *data*; False when the stream has ended."""
        return self._out.pipe.put(data)

    def send(self, data: bytes) -> None:
        """See `BlockingStream.send`."""
        from anyio import BrokenResourceError, ClosedResourceError

        if self._closed:
            raise ClosedResourceError
        if not self._out.pipe.put(bytes(data)):
            raise BrokenResourceError(self._why_ended())

    def _why_ended(self) -> str:
        if self._out.done.is_set() and self._call.code() not in _NORMAL_ENDS:
            return self._told(self._failure(self._call.error()))
        return "the exporter ended the stream"

    def _told(self, failure: Exception) -> str:
        """What *failure* says, and how far the stream came where it is that the connection broke."""
        if not isinstance(failure, ConnectionError):
            return str(failure)
        return (
            f"{failure}; the stream was cut when {self._out.count} bytes had been sent, not all of which may have arrived, "
            f"and {self._received} had been received"
        )

    def receive(self) -> bytes | None:
        """The next bytes; None at the end. Raises anyio.BrokenResourceError, with the exporter's reason as its cause."""
        if self._ended:
            return None
        try:
            with self._reading:
                for kind, payload in self._call:
                    if kind == GOAWAY:
                        break
                    if kind == DATA and payload and not self._discarding:
                        self._received += len(payload)
                        return payload  # type: ignore[no-any-return]
        except grpc.RpcError as error:
            self._ended = True
            if error.code() not in _NORMAL_ENDS:
                from anyio import BrokenResourceError

                reason = self._failure(error)
                raise BrokenResourceError(self._told(reason)) from reason
        except BaseException:
            # Ctrl-C or a time-out: gRPC still waits for the message, and nobody can ask the call for another.
            self.cancel()
            raise
        self._ended = True
        return None

    def send_eof(self) -> None:
        """See `BlockingStream.send_eof`."""
        self._out.pipe.finish()

    def close(self) -> None:
        """Close both directions, when the exporter has what was sent. Closing twice is fine."""
        self._closed = True
        if self._discarding:
            return
        self._discarding = True
        self.say_done()
        try:
            # gRPC tells that a call is over only to who has taken all of its messages.
            start_thread(self._drain, name="jumpstarter-stream")
            if self._out.sent.wait(CLOSE_TIMEOUT):
                self._out.done.wait(self._close_timeout)
        finally:
            self._call.cancel()

    def say_done(self) -> None:
        """Tell the exporter that no more is sent nor awaited: what it has written comes yet, then its end."""
        self._out.pipe.finish()
        self._out.closing.set()

    def _drain(self) -> None:
        # A thread that waits in `receive` takes them itself: gRPC allows one reader.
        with self._reading, suppress(grpc.RpcError):
            for _ in self._call:
                pass

    def cancel(self) -> None:
        """End the call now, whatever is under way."""
        self._out.pipe.close()
        self._discarding = True
        self._out.closing.set()
        self._call.cancel()

    def pump_into(self, pipe: Pipe) -> None:
        """Take frames into *pipe* on a thread of their own until the stream ends."""
        start_thread(self._pump, pipe, name="jumpstarter-stream")

    def _pump(self, pipe: Pipe) -> None:
        try:
            while (chunk := self.receive()) is not None and pipe.put(chunk):
                pass
            pipe.finish()
        except Exception as error:  # noqa: BLE001 - kept for whoever asks
            pipe.close(error)

    @property
    def outgoing(self) -> Pipe:
        """What `send` queues."""
        return self._out.pipe
