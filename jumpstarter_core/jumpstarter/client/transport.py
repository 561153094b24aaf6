"""The way to one exporter: a gRPC channel with its methods, and the byte streams over it.

Everything runs in the caller's thread; only a stream that a coroutine reads needs a thread that takes its frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import grpc

from jumpstarter.common.errors import driver_error
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

#: Ends of a call that mean no more than that: stock exporters abort theirs.
_NORMAL_ENDS: Final = (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED)

#: Seconds that closing waits for the exporter to have taken the last bytes.
CLOSE_TIMEOUT: Final = 10.0
#: The same for stock exporters, which never tell: their sockets are near, and the bytes are under way.
STOCK_CLOSE_TIMEOUT: Final = 0.2

OPTIONS: Final = (
    # Items are taken from the wire by the thread that asks for them.
    ("SingleThreadedUnaryStream", 1),
    # Frames are 4 MiB at the most, and so are results; stock exporters send larger chunks of streams whole.
    ("grpc.max_receive_message_length", 64 << 20),
)


class ExporterStub:
    """The methods of ExporterService and RouterService on *channel*, as attributes."""

    def __init__(self, channel: grpc.Channel) -> None:
        from jumpstarter_protocol.jumpstarter.v1 import jumpstarter_pb2_grpc

        self.channel = channel
        self._exporter = jumpstarter_pb2_grpc.ExporterServiceStub(channel)  # type: ignore[no-untyped-call]
        # Found without the detour by __getattr__: it is a part of every call.
        self.DriverCall = self._exporter.DriverCall
        self.Stream = channel.stream_stream(
            "/jumpstarter.v1.RouterService/Stream",
            request_serializer=encode_frame,
            response_deserializer=decode_frame,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)


#: Seconds to learn that a stream was refused, where the answer has no metadata that would tell.
_REFUSAL: Final = 0.02

#: What to send, given the metadata of the exporter's answer.
Source = Callable[[Mapping[str, str]], Iterable[bytes]]


class CallStream:
    """A byte stream of a driver or resource, for threads: one may send while another receives.

    *source* gives the bytes to send; without it they are what `send` queues. `error` is what *source* raised: the stream
    is then cut, so that the exporter never takes a part for the whole. Raises as `driver_error` when the exporter refuses.
    """

    def __init__(self, stub: ExporterStub, request: StreamRequest, source: Source | None = None) -> None:
        self._method = getattr(request, "method", "resource")
        self._outgoing = Pipe()
        self._source = source
        self._merge = False
        self._ended = False
        self.error: BaseException | None = None
        self._closed = False
        self._closing = threading.Event()
        self._discarding = False
        self._sent = threading.Event()
        self._done = threading.Event()
        self._reading = threading.Lock()
        self._opened = threading.Event()
        self.metadata: Mapping[str, str] = {}
        self._call: Any = stub.Stream(self._frames(), metadata=((REQUEST_KEY, request.to_json()),))
        if not self._call.add_callback(self._on_done):
            self._on_done()
        try:
            self.metadata = self._initial_metadata()
        except BaseException:
            self.cancel()
            raise
        finally:
            self._merge = self.metadata.get(BYTE_SEMANTICS_KEY) == "1"
            self._opened.set()
        self._close_timeout = CLOSE_TIMEOUT if CLOSES[0] in self.metadata else STOCK_CLOSE_TIMEOUT

    def _initial_metadata(self) -> Mapping[str, str]:
        metadata = {key: str(value) for key, value in self._call.initial_metadata() or ()}
        if not metadata and self._done.wait(_REFUSAL) and self._call.code() not in _NORMAL_ENDS:
            raise driver_error(self._call, self._method)
        return metadata

    def _on_done(self) -> None:
        self._done.set()
        self._outgoing.close()
        self._closing.set()
        self._sent.set()

    def _frames(self) -> Iterator[Frame]:
        # The exporter's answer decides how chunks may be cut.
        self._opened.wait()
        limit = MAX_PAYLOAD if self._merge or self._source is not None else MAX_MESSAGE
        try:
            for chunk in self._chunks() if self._source is None else self._source(self.metadata):
                yield from split(chunk, limit)
        except Exception as error:  # noqa: BLE001 - kept for whoever asks
            self.error = error
            self.cancel()
            return
        yield GOAWAY_FRAME
        self._closing.wait()
        yield RST_STREAM, b""
        self._sent.set()

    def _chunks(self) -> Iterator[bytes]:
        pipe = self._outgoing
        while (chunk := pipe.get_merged(MAX_PAYLOAD) if self._merge else pipe.get()) is not None:
            yield chunk

    def put(self, data: bytes) -> bool:
        """Queue *data*; False when the stream has ended."""
        return self._outgoing.put(data)

    def send(self, data: bytes) -> None:
        """See `BlockingStream.send`."""
        from anyio import BrokenResourceError, ClosedResourceError

        if self._closed:
            raise ClosedResourceError
        if not self._outgoing.put(bytes(data)):
            raise BrokenResourceError(self._why_ended())

    def _why_ended(self) -> str:
        if self._done.is_set() and self._call.code() not in _NORMAL_ENDS:
            return str(driver_error(self._call, self._method))
        return "the exporter ended the stream"

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
                        return payload  # type: ignore[no-any-return]
        except grpc.RpcError as error:
            self._ended = True
            if error.code() not in _NORMAL_ENDS:
                from anyio import BrokenResourceError

                reason = driver_error(error, self._method)
                raise BrokenResourceError(str(reason)) from reason
        except BaseException:
            # Ctrl-C or a time-out: gRPC still waits for the message, and nobody can ask the call for another.
            self.cancel()
            raise
        self._ended = True
        return None

    def send_eof(self) -> None:
        """See `BlockingStream.send_eof`."""
        self._outgoing.finish()

    def close(self) -> None:
        """Close both directions, when the exporter has what was sent. Closing twice is fine."""
        self._closed = True
        if self._discarding:
            return
        self._discarding = True
        self.say_done()
        # gRPC tells that a call is over only to who has taken all of its messages.
        threading.Thread(target=self._drain, name="jumpstarter-stream", daemon=True).start()
        if self._sent.wait(CLOSE_TIMEOUT):
            self._done.wait(self._close_timeout)
        self._call.cancel()

    def say_done(self) -> None:
        """Tell the exporter that no more is sent nor awaited: what it has written comes yet, then its end."""
        self._outgoing.finish()
        self._closing.set()

    def _drain(self) -> None:
        # A thread that waits in `receive` takes them itself: gRPC allows one reader.
        with self._reading, suppress(grpc.RpcError):
            for _ in self._call:
                pass

    def cancel(self) -> None:
        """End the call now, whatever is under way."""
        self._outgoing.close()
        self._discarding = True
        self._closing.set()
        self._call.cancel()

    def pump_into(self, pipe: Pipe) -> None:
        """Take frames into *pipe* on a thread of their own until the stream ends."""
        threading.Thread(target=self._pump, args=(pipe,), name="jumpstarter-stream", daemon=True).start()

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
        return self._outgoing
