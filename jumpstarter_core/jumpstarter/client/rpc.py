"""Calls of gRPC that a signal handler may interrupt in the main thread: see `jumpstarter.common.interrupts`."""

from __future__ import annotations

import weakref
from _queue import Empty, SimpleQueue  # the module queue loads others, and every `j` comes here
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import grpc

from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.interrupts import Shield, UnaryCall, start_thread

#: Seconds for the beginning of a call to be told after its end.
LATE: Final = 1.0


class ConnectionClosedError(ConnectionError, ValueError):
    """Raised when a channel is used that this program has closed; a ValueError as well, which gRPC raises."""


def of_channel(error: ValueError) -> ValueError:
    """What *error* of gRPC means, if it is about a channel that is closed; else itself."""
    if "closed" not in str(error).lower():
        return error
    return ConnectionClosedError("this connection has been closed: connect again")


class Unary:
    """*method*, a unary one of a stub; a handler that raises ends the call, and harms nothing else."""

    __slots__ = ("_method",)

    def __init__(self, method: Any) -> None:
        self._method = method

    def __call__(self, *args: Any, **options: Any) -> Any:
        try:
            with UnaryCall():
                return self._method(*args, **options)
        except ValueError as error:
            raise of_channel(error) from None

    def with_call(self, *args: Any, **options: Any) -> Any:
        """(answer, call), as gRPC has it."""
        with UnaryCall():
            return self._method.with_call(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)


class StreamCall:
    """The call with a stream of answers that *start* begins, for as long as somebody has this object.

    A handler that raises while the main thread waits for it cancels it.
    """

    __slots__ = ("__weakref__", "_answers", "_call")

    def __init__(self, start: Callable[[], Any]) -> None:
        self._call: Any = None
        try:
            with Shield():
                self._call = start()
                self._answers = iter(self._call)
                _bury_later(self, self._call)
        except BaseException as error:
            self.cancel()
            if isinstance(error, ValueError):
                raise of_channel(error) from None
            raise

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with Shield(self._call.cancel):
            return next(self._answers)

    def cancel(self) -> None:
        """End the call now. Never raises, and may be called by any thread."""
        if self._call is not None:
            with Shield():
                self._call.cancel()

    def canceller(self) -> Callable[[], object]:
        """A `cancel` that does not keep the call alive for its caller's sake."""
        return self._call.cancel  # type: ignore[no-any-return]

    def on_done(self, callback: Callable[[], None]) -> None:
        """Have *callback* called when the call has ended; now, if it has."""
        with Shield():
            if not self._call.add_callback(callback):
                callback()

    def error(self) -> grpc.RpcError:
        """How the call, which has ended, failed."""
        return self._call  # type: ignore[no-any-return]

    def initial_metadata(self) -> Any:
        """What the other side said at the beginning; waits for it, or for the end of the call: () then.

        gRPC's own wait is on a thread: where a connection broke just then, gRPC has lost the event of the beginning, and waited
        on after the end, which nothing could end.
        """
        told: SimpleQueue[Any] = SimpleQueue()
        call = self._call
        with Shield(call.cancel):
            start_thread(lambda: told.put(call.initial_metadata()), name="jumpstarter-beginning")
            self.on_done(lambda: told.put(None))
            beginning = told.get()
            if beginning is None:
                # The two may have come at once.
                with suppress(Empty):
                    beginning = told.get(timeout=LATE)
        return beginning or ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


#: Calls by weak references to their owners. Ending and destroying one takes locks of gRPC, which the main thread must not do
#: unshielded, as it would when the last reference goes; so a thread of its own does, when the owner is gone.
_calls: Final[dict[weakref.ref[StreamCall], Any]] = {}
_ownerless: Final[SimpleQueue[weakref.ref[StreamCall]]] = SimpleQueue()
_burying: list[Any] = []


def _bury_later(owner: StreamCall, call: Any) -> None:
    if not _burying:
        _burying.append(start_thread(_bury, name="jumpstarter-calls"))
    # Written in C, so that no handler runs between the end of the owner and this.
    _calls[weakref.ref(owner, _ownerless.put)] = call


def _bury() -> None:
    while True:
        _end(_calls.pop(_ownerless.get()))


def _end(call: Any) -> None:
    call.cancel()
