"""Calls of a client in the process that has leased, which wait when the connection to their exporter breaks, and run once.

What `patience` and `proxy` do for the commands of a shell, for threads and without a detour: as long as the connection holds, a
call costs its name and nothing else.
"""

from __future__ import annotations

import logging
from itertools import count
from secrets import token_hex
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import grpc

from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.interrupts import Flag, Shield, UnaryCall, run_aside, start_thread
from jumpstarter.common.repeats import (
    ANEW,
    CALL,
    CANCEL,
    NAME_KEY,
    REPEATS_KEY,
    SERVICE,
    call_name,
    lends_data,
)

from .patience import AGAIN, FIRST_WORD, GIVEN_UP, REPORT_TIMEOUT, Session, Waits
from .rpc import of_channel

if TYPE_CHECKING:
    from .transport import ExporterStub

logger = logging.getLogger("jumpstarter.lease")

#: Seconds between attempts to reach an exporter whose connection breaks at once; gRPC waits by itself between others.
PAUSE: Final = 0.25
#: Seconds for the exporter to hear that nobody waits for a call any more.
CANCEL_TIMEOUT: Final = 1.0

_LOST: Final = grpc.StatusCode.UNAVAILABLE


class Recovery:
    """Finds the exporter of *stub* again when the connection to it has broken, and has calls wait meanwhile, as *waits* says.

    `session` is whom the connection leads to.
    """

    def __init__(self, stub: ExporterStub, waits: Waits, session: Session) -> None:
        self.session = session
        self.waits = waits
        self._stub = stub
        self._lock = Lock()
        self._back: Flag | None = None
        self._closed = Flag()
        self._ended: str | None = None
        self._in_vain = False
        self._told_at = 0.0
        self.named = NamedCalls(stub, self) if session.repeats else None

    def lost(self) -> None:
        """The connection has broken: look for the exporter, on a thread, until it is there."""
        with Shield(), self._lock:
            if (self._back is None or self._back.is_set()) and not (self._ended or self._closed.is_set()):
                self._back = Flag()
                start_thread(self._find, self._back, name="jumpstarter-recovery")

    def ready(self) -> None:
        """Wait while there is no connection. Raises ConnectionError when there is none in time, or the lease is over."""
        back = self._back
        if back is not None and not back.is_set():
            begun = monotonic()
            self._wait(back, begun)
            logger.info(
                "the connection to exporter %s broke: %.1f s were waited for it",
                self.waits.name,
                monotonic() - begun,
            )
        if self._ended is not None:
            raise _unreachable(self._ended)

    def close(self) -> None:
        """Look for nothing any more, and end the calls that nobody waits for any more."""
        self._closed.set()
        if self.named is not None and self._back is None:
            self.named.end()
        if (back := self._back) is not None:
            back.set()

    def _wait(self, back: Flag, begun: float) -> None:
        limit = min(self.waits.limit, GIVEN_UP) if self._in_vain else self.waits.limit
        pause = FIRST_WORD
        while not back.wait(max(min(pause, begun + limit - monotonic()), 0)):
            if (reason := self.waits.over()) is not None:
                raise _unreachable(reason)
            if back.is_set():
                return
            if (waited := monotonic() - begun) >= limit:
                self._in_vain = True
                raise _unreachable(self.waits.gone(waited, self.waits.why()))
            self._tell(back, waited)
            pause = AGAIN

    def _tell(self, back: Flag, waited: float) -> None:
        """Tell the user what is waited for, once for all who wait."""
        with Shield(), self._lock:
            now = monotonic()
            if self._told_at and now - self._told_at < AGAIN - 1:
                return
            first, self._told_at = not self._told_at, now
        reason = self.waits.why()
        if not back.is_set():
            self.waits.tell(self.waits.waiting(0 if first else waited, reason))

    def _find(self, back: Flag) -> None:
        while not self._closed.is_set():
            if (found := self._ask()) is not None:
                self._found(found)
                break
            if (reason := self.waits.over()) is not None:
                self._ended = reason
                break
            self._closed.wait(PAUSE)
        back.set()

    def _found(self, session: Session) -> None:
        with self._lock:
            told, self._told_at, self._in_vain = bool(self._told_at), 0.0, False
            self.session, self._back = session, None
        if told:
            self.waits.tell(self.waits.back)

    def _ask(self) -> Session | None:
        try:
            return asked(self._stub, REPORT_TIMEOUT, wait_for_ready=True)[1]
        except (grpc.RpcError, ValueError):  # the latter when the channel is closed
            return None


class NamedCalls:
    """`DriverCall` of an exporter that knows calls by their names (see `jumpstarter.common.repeats`)."""

    def __init__(self, stub: ExporterStub, recovery: Recovery) -> None:
        from jumpstarter_protocol import jumpstarter_pb2 as pb

        self._stub = stub
        self._plain = stub.DriverCall
        self._recovery = recovery
        self._method: Any = stub.channel.unary_unary(
            f"/{SERVICE}/{CALL}",
            request_serializer=pb.DriverCallRequest.SerializeToString,
            response_deserializer=pb.DriverCallResponse.FromString,
        )
        self._cancel: Any = stub.channel.unary_unary(f"/{SERVICE}/{CANCEL}")
        self._caller = token_hex(12)
        self._numbers = count(1)
        self._open: set[int] = set()

    def __call__(self, request: Any, metadata: Any = (), **options: Any) -> Any:
        session, number = self._recovery.session, next(self._numbers)
        try:
            # The number is open as long as its answer may be asked for again. Within the shield no handler comes between.
            with UnaryCall():
                self._open.add(number)
                answer = self._method(request, metadata=(self._name(session, number), *metadata), **options)
                self._open.discard(number)
                return answer
        except grpc.RpcError as error:
            if error.code() is not _LOST or lends_data(request.SerializeToString()):
                self._open.discard(number)
                raise
        except BaseException as error:
            self._left(session, number)
            if isinstance(error, ValueError):
                raise of_channel(error) from None
            raise
        try:
            return self._again(request, session, number, metadata, options)
        finally:
            self._open.discard(number)

    def __getattr__(self, name: str) -> Any:
        # Other ways to make a call, such as `future`, which name none.
        return getattr(self._plain, name)

    def end(self) -> None:
        """Nobody waits for any call any more."""
        for number in tuple(self._open):
            self._left(self._recovery.session, number)

    def _name(self, session: Session, number: int) -> tuple[str, str]:
        # Most of the time it is the only one: this is a part of every call.
        lowest = number if len(self._open) == 1 else min(tuple(self._open), default=number)
        return NAME_KEY, call_name(session.uuid, self._caller, number, lowest)

    def _again(self, request: Any, session: Session, number: int, metadata: Any, options: Any) -> Any:
        """The answer of a call whose connection has broken: that of the same call, wherever it is by now."""
        while True:
            self._stub.lost()
            self._recovery.ready()
            if self._recovery.session != session:
                raise _unreachable(ANEW)
            try:
                with UnaryCall():
                    return self._method(request, metadata=(self._name(session, number), *metadata), **options)
            except grpc.RpcError as error:
                if error.code() is not _LOST:
                    raise
            except BaseException:
                self._left(session, number)
                raise

    def _left(self, session: Session, number: int) -> None:
        """Nobody waits for the call any more: its method is to end, unlike that of a call whose connection has broken."""
        try:
            name = self._name(session, number)
            run_aside(
                lambda: self._cancel(b"", metadata=(name,), timeout=CANCEL_TIMEOUT),
                CANCEL_TIMEOUT,
                "jumpstarter-cancel",
            )
        except (grpc.RpcError, TimeoutError, ValueError):
            logger.debug("the exporter was not told that nobody waits for call %d", number)
        finally:
            self._open.discard(number)


def asked(stub: Any, timeout: float, **options: Any) -> tuple[Any, Session]:
    """The report of the exporter of *stub*, and whom it stands for. Raises grpc.RpcError."""
    from google.protobuf.empty_pb2 import Empty

    report, call = stub.GetReport.with_call(Empty(), timeout=timeout, **options)
    told = call.trailing_metadata() or ()
    return report, Session(report.uuid, any(key == REPEATS_KEY for key, _ in told))


def _unreachable(reason: str) -> ConnectionError:
    return ConnectionError(f"the exporter cannot be reached or went away: {reason}")
