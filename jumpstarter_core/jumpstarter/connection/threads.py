"""A channel for coroutines, used by threads: so that what leases have in `holding` and `keeping` is there for both."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, Final

import grpc

from jumpstarter.common.interrupts import Shield, result_of

_END: Final = object()


class Interrupted(Exception):
    """Raised in a thread that waits for an answer when `ThreadsChannel.interrupt` is called."""


class ThreadsChannel:
    """The methods on the aio *channel*, whose event loop is *loop*, for calls from other threads.

    It stands in for a `grpc.Channel` where unary calls and streams of answers are all that is needed. *channel* may be
    replaced at any time: calls that are made later take the new one.
    """

    def __init__(self, channel: grpc.aio.Channel, loop: asyncio.AbstractEventLoop) -> None:
        self.channel = channel
        self._loop = loop
        self._calls: set[Future[Any]] = set()
        self._interrupted = False

    def unary_unary(self, method: str, **options: Any) -> Callable[..., Any]:
        """See `grpc.Channel`."""

        def call(request: Any, **arguments: Any) -> Any:
            async def make() -> Any:
                return await self.channel.unary_unary(method, **options)(request, **arguments)

            return self._result(self._start(make()))

        return call

    def unary_stream(self, method: str, **options: Any) -> Callable[..., Answers]:
        """See `grpc.Channel`."""

        def call(request: Any, **arguments: Any) -> Answers:
            answers = Answers(
                lambda: self.channel.unary_stream(method, **options)(request, **arguments), self._result
            )
            answers.call = self._start(answers.take())
            return answers

        return call

    def stream_unary(self, method: str, **options: Any) -> None:
        """None: no caller has one, but gRPC's stubs ask for all of their methods."""

    stream_stream = stream_unary

    def interrupt(self) -> None:
        """Have the thread that waits for an answer, now or next, raise `Interrupted`."""
        self._interrupted = True
        for call in tuple(self._calls):
            call.cancel()

    def resume(self) -> None:
        """Forget an `interrupt` that found nobody waiting."""
        self._interrupted = False

    def _start(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        try:
            with Shield():
                future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
                self._calls.add(future)
                future.add_done_callback(self._calls.discard)
                if self._interrupted:
                    future.cancel()
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise
        return future

    def _result(self, call: Future[Any]) -> Any:
        try:
            return result_of(call)
        except CancelledError:
            if self._interrupted:
                self.resume()
                raise Interrupted from None
            raise _cancelled() from None
        except BaseException:
            _cancel(call)  # Ctrl-C in the thread that waits
            raise


class Answers:
    """A call with a stream of answers. `cancel`, from any thread, ends the iteration."""

    call: Future[Any]

    def __init__(self, start: Callable[[], Any], result: Callable[[Future[Any]], Any]) -> None:
        self._start = start
        self._result = result
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    async def take(self) -> None:
        """Take the answers from the wire; runs on the loop."""
        call = self._start()
        try:
            async for answer in call:
                self._queue.put(answer)
        finally:
            call.cancel()

    def cancel(self) -> None:
        """End the call."""
        _cancel(self.call)

    def __iter__(self) -> Iterator[Any]:
        # Not at the end of `take`: a call that is cancelled before it has begun would never tell.
        with Shield():
            self.call.add_done_callback(lambda _: self._queue.put(_END))
        while (answer := self._queue.get()) is not _END:
            yield answer
        self._result(self.call)


def _cancel(call: Future[Any]) -> None:
    with Shield():
        call.cancel()


def _cancelled() -> grpc.RpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.CANCELLED, nothing, nothing, "the call was cancelled here")
