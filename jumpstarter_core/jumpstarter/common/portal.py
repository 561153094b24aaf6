"""An event loop in a thread of its own, started when it is first needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .interrupts import Shield, result_of, start_thread

if TYPE_CHECKING:
    import asyncio  # costs as much as all of click: loaded with the loop

    from anyio.from_thread import BlockingPortal

T = TypeVar("T")

logger = logging.getLogger("jumpstarter.session")

#: Seconds for what runs on the loop to take its cancellation.
CLOSE_TIMEOUT: Final = 5.0

_STOPPING: Final[set[asyncio.Task[None]]] = set()


class LazyPortal:
    """Owns one anyio BlockingPortal; `close` ends it and cancels what runs on it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._portal: BlockingPortal | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._running: set[Future[Any]] = set()

    @property
    def portal(self) -> BlockingPortal:
        """The portal, started now if it was not."""
        with self._lock:
            if self._portal is None:
                if self._closed:
                    raise RuntimeError(f"the event loop of {self._name} has ended")
                started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]] = Future()
                # A daemon, unlike the threads of anyio's own portals: code that blocks the loop cannot keep the process.
                self._thread = start_thread(_run_portal, started, name=f"jumpstarter-loop of {self._name}")
                self._portal, self._loop = result_of(started)
            return self._portal

    def __getattr__(self, name: str) -> Any:
        """Everything else is the portal's own: `start_task_soon`, `start_task`, `stop` ..."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.portal, name)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run *function*, plain or a coroutine function, on the loop, and return its result; as `run` if it is interrupted."""
        with Shield():
            future = self.submit(_called(function, args))
        return self._result(future)

    def wrap_async_context_manager(
        self, context: AbstractAsyncContextManager[T]
    ) -> AbstractContextManager[T]:
        """*context*, for a thread: it is entered and left on the loop."""
        return _ForThreads(self, context)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run *coroutine* on the loop; the future's cancel() cancels it."""
        try:
            _ = self.portal
        except BaseException:
            coroutine.close()
            raise
        import asyncio

        assert self._loop is not None
        with Shield():
            future = asyncio.run_coroutine_threadsafe(contained(coroutine), self._loop)
            self._running.add(future)
            future.add_done_callback(self._running.discard)
        return future

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* on the loop and wait for it; an exception in the waiting thread (Ctrl-C, a time-out) cancels it."""
        return self._result(self.submit(coroutine))

    def _result(self, future: Future[T]) -> T:
        if threading.current_thread() is self._thread:
            future.cancel()
            raise RuntimeError(f"the event loop of {self._name} cannot wait for itself: await the coroutine")
        try:
            return result_of(future)  # type: ignore[no-any-return]
        except BaseException:
            with Shield():
                future.cancel()
            raise

    def close(self) -> None:
        """End the loop; what does not let it end within `CLOSE_TIMEOUT` is left behind. Closing twice is fine."""
        with self._lock:
            self._closed = True
            portal, self._portal = self._portal, None
        with Shield():
            for future in tuple(self._running):
                future.cancel()
        if portal is None or self._thread is None or self._loop is None:
            return
        # Not by the portal's own way in, which waits for the loop to take the task.
        self._loop.call_soon_threadsafe(_stop, portal)
        self._thread.join(CLOSE_TIMEOUT)
        if self._thread.is_alive():
            logger.warning("the event loop of %s does not end: something blocks it", self._name)


async def _called(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    from inspect import isawaitable

    result = function(*args)
    return await result if isawaitable(result) else result


class _ForThreads(AbstractContextManager[T]):
    """An asynchronous context for a thread: one task enters it, waits, and leaves it."""

    def __init__(self, portal: LazyPortal, context: AbstractAsyncContextManager[T]) -> None:
        self._portal = portal
        self._context = context
        self._entered: Future[T] = Future()
        self._task: Future[bool | None]
        self._leave: asyncio.Event
        self._error: BaseException | None = None

    def __enter__(self) -> T:
        self._task = self._portal.submit(self._live())
        try:
            return result_of(self._entered)  # type: ignore[no-any-return]
        except BaseException:
            with Shield():
                self._task.cancel()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._error = error
        self._portal.call(self._leave.set)
        return result_of(self._task)  # type: ignore[no-any-return]

    async def _live(self) -> bool | None:
        import asyncio

        self._leave = asyncio.Event()
        try:
            value = await self._context.__aenter__()
        except BaseException as error:
            self._entered.set_exception(error)
            raise
        self._entered.set_result(value)
        try:
            await self._leave.wait()
        except BaseException as error:
            await self._context.__aexit__(type(error), error, error.__traceback__)
            raise
        cause = self._error
        trace = None if cause is None else cause.__traceback__
        return await self._context.__aexit__(None if cause is None else type(cause), cause, trace)


def _stop(portal: BlockingPortal) -> None:
    import asyncio

    task = asyncio.ensure_future(portal.stop(cancel_remaining=True))
    _STOPPING.add(task)  # the loop itself may forget a task that nobody holds
    task.add_done_callback(_STOPPING.discard)


async def contained(coroutine: Coroutine[Any, Any, T]) -> T:
    """*coroutine*, whose attempt to end the process fails: asyncio would end the loop, and everyone else's work with it."""
    import asyncio

    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"{type(error).__name__} was raised: {error}") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled it: to whoever waits, this would look like an end in order.
        raise RuntimeError(f"CancelledError was raised: {error}") from error


def _run_portal(started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]]) -> None:
    import asyncio

    import anyio
    from anyio.from_thread import BlockingPortal

    from .loop import EventLoop

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result((portal, asyncio.get_running_loop()))
            await portal.sleep_until_stopped()

    anyio.run(serve, backend="asyncio", backend_options={"loop_factory": EventLoop})
