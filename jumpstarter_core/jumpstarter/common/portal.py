"""An event loop in a thread of its own, started when it is first needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

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
                started: Future[BlockingPortal] = Future()
                # A daemon, unlike the threads of anyio's own portals: code that blocks the loop cannot keep the process.
                self._thread = threading.Thread(
                    target=_run_portal, args=(started,), name=f"jumpstarter-loop of {self._name}", daemon=True
                )
                self._thread.start()
                self._portal = started.result()
                self._loop = self._portal.call(_running_loop)
            return self._portal

    def __getattr__(self, name: str) -> Any:
        """Everything else is the portal's own: `call`, `start_task_soon`, `wrap_async_context_manager` ..."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.portal, name)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run *coroutine* on the loop; the future's cancel() cancels it."""
        try:
            _ = self.portal
        except RuntimeError:
            coroutine.close()
            raise
        import asyncio

        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(contained(coroutine), self._loop)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* on the loop and wait for it; an exception in the waiting thread (Ctrl-C, a time-out) cancels it."""
        future = self.submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop; what does not let it end within `CLOSE_TIMEOUT` is left behind. Closing twice is fine."""
        with self._lock:
            self._closed = True
            portal, self._portal = self._portal, None
        for future in tuple(self._running):
            future.cancel()
        if portal is None or self._thread is None or self._loop is None:
            return
        # Not by the portal's own way in, which waits for the loop to take the task.
        self._loop.call_soon_threadsafe(_stop, portal)
        self._thread.join(CLOSE_TIMEOUT)
        if self._thread.is_alive():
            logger.warning("the event loop of %s does not end: something blocks it", self._name)


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


def _run_portal(started: Future[BlockingPortal]) -> None:
    import anyio
    from anyio.from_thread import BlockingPortal

    from .loop import EventLoop

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    anyio.run(serve, backend="asyncio", backend_options={"loop_factory": EventLoop})


async def _running_loop() -> asyncio.AbstractEventLoop:
    import asyncio

    return asyncio.get_running_loop()
