"""Calls that run once, however often they are made: for callers whose connection breaks (see `jumpstarter.common.repeats`).

The answer of a call is kept until its caller has got it, which the next call of that caller tells. A call goes on while its
caller is away; one that nobody comes back for within `AWAY` seconds is cancelled, as far as its method can be.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

import grpc
from jumpstarter_protocol import jumpstarter_pb2 as pb

from jumpstarter.common.interrupts import Flag
from jumpstarter.common.repeats import CALL, CANCEL, NAME_KEY, SERVICE, CallName

if TYPE_CHECKING:
    from .service import ExporterService

#: Seconds for a caller whose connection broke to come back.
AWAY: Final = 300.0
#: Callers whose last answers are kept; more than shells use one lease at a time.
CALLERS: Final = 256


class _Aborted(Exception):
    """Ends a handler that has told how its call failed."""


class _Call:
    """One call, as the handler sees its context and as those see it who ask for it."""

    def __init__(self) -> None:
        self._answer: Any = None
        self._done = Flag()
        self._failure: tuple[grpc.StatusCode, str] | None = None
        self._trailing: Any = ()
        self._lock = threading.Lock()
        self._on_cancel: list[Callable[[], None]] = []
        self._asking = 0
        self._timer: threading.Timer | None = None

    # What handlers use of a context.

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._lock:
            self._on_cancel.append(callback)
        return True

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._trailing = metadata

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        self._failure = code, details
        raise _Aborted

    # What those use who ask.

    def run(self, handler: Callable[[Any, Any], Any], request: Any) -> None:
        """Have *handler* answer it."""
        try:
            self._answer = handler(request, self)
        except _Aborted:
            pass
        except BaseException as error:
            self._failure = grpc.StatusCode.UNKNOWN, str(error)
            raise
        finally:
            self._done.set()

    def ask(self, context: grpc.ServicerContext) -> None:
        """*context* is that of one who waits for the answer, from now on until its end."""
        with self._lock:
            self._asking += 1
            if self._timer is not None:
                self._timer.cancel()
        if not context.add_callback(self._left):
            self._left()

    def give(self, context: grpc.ServicerContext) -> Any:
        """Answer *context* when there is an answer."""
        self._done.wait()
        if self._trailing:
            context.set_trailing_metadata(self._trailing)
        if self._failure is not None:
            context.abort(*self._failure)
        return self._answer

    def cancel(self) -> None:
        """End it, if its method can be ended."""
        with self._lock:
            actions, self._on_cancel = self._on_cancel, []
        for action in actions:
            action()

    def _left(self) -> None:
        """One who asked has the answer, or has gone."""
        with self._lock:
            self._asking -= 1
            if self._asking or self._done.is_set():
                return
            self._timer = threading.Timer(AWAY, self.cancel)
            self._timer.daemon = True
            self._timer.start()


class RepeatedCalls:
    """The service. *session* is the UUID of the exporter's session."""

    def __init__(self, exporter: ExporterService, session: str) -> None:
        self._exporter = exporter
        self._session = session
        self._lock = threading.Lock()
        self._calls: OrderedDict[str, dict[int, _Call]] = OrderedDict()

    def handlers(self) -> grpc.GenericRpcHandler:
        """What to add to a server."""
        request, answer = pb.DriverCallRequest, pb.DriverCallResponse
        methods: dict[str, Any] = {
            CALL: grpc.unary_unary_rpc_method_handler(
                self.call, request.FromString, answer.SerializeToString
            ),
            CANCEL: grpc.unary_unary_rpc_method_handler(self.cancel),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def call(self, request: pb.DriverCallRequest, context: grpc.ServicerContext) -> Any:
        """`ExporterService.DriverCall`, once."""
        call, is_new = self._take(self._name(context))
        call.ask(context)
        if is_new:
            call.run(self._exporter.DriverCall, request)
        return call.give(context)

    def cancel(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """End a call."""
        name = self._name(context)
        with self._lock:
            call = self._calls.get(name.caller, {}).get(name.number)
        if call is not None:
            call.cancel()
        return b""

    def _name(self, context: grpc.ServicerContext) -> CallName:
        text = next((str(value) for key, value in context.invocation_metadata() or () if key == NAME_KEY), "")
        try:
            name = CallName.parse(text)
        except ValueError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{NAME_KEY} is {text!r}, which names no call")
        if name.session != self._session:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the call was made for another session")
        return name

    def _take(self, name: CallName) -> tuple[_Call, bool]:
        """(the call of that name, whether it is new)."""
        with self._lock:
            calls = self._calls.setdefault(name.caller, {})
            self._calls.move_to_end(name.caller)
            for number in [each for each in calls if each < name.lowest]:
                del calls[number]
            if len(self._calls) > CALLERS:
                self._calls.popitem(last=False)
            is_new = name.number not in calls
            return calls.setdefault(name.number, _Call()), is_new
