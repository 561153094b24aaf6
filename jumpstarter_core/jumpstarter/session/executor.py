"""The threads that serve calls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from itertools import count
from queue import SimpleQueue
from typing import Any, Final

from jumpstarter.common.interrupts import Shield

logger = logging.getLogger("jumpstarter.session")

#: Threads that are started as soon as a call finds none idle, and that stay. Short calls are served fastest by few of them:
#: more only compete for the interpreter.
CORE_THREADS: Final = 4
#: Seconds without progress after which waiting calls get another thread.
PATIENCE: Final = 0.002
#: Streams that a session has open at once, each with two threads; more are refused.
MAX_STREAMS: Final = 512
#: A session with more calls at once than streams leave threads for makes the rest wait.
MAX_THREADS: Final = 2 * MAX_STREAMS + 1024

_Job = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], "Future[Any]"]


class DaemonExecutor(Executor):
    """A few threads while calls are short; as many as it takes when drivers block or streams stay open.

    Drivers that block hold up another call for a few times `PATIENCE` at the most: each time that passes without progress
    starts twice as many threads as the one before. The first one starts a single thread, because a process that others keep
    from running makes no progress either. Threads that are no longer needed end.

    The threads are daemons: a driver that never returns cannot keep the exporter from ending, as the standard library's
    ThreadPoolExecutor would by joining at exit.
    """

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._numbers = count(1)
        #: Threads that are free, less the jobs that wait: counted together, or one thread could be counted on twice.
        self._spare = 0
        self._max_threads = max_threads
        self._taken = 0
        self._starved = threading.Event()
        self._shut_down = threading.Event()
        self._watching = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._shut_down.is_set():
            raise RuntimeError("cannot take calls after shutdown")
        future: Future[Any] = Future()
        with self._lock:
            self._spare -= 1
            short = self._spare < 0
        self._jobs.put((fn, args, kwargs, future))
        if short:
            if self._threads < CORE_THREADS:
                self._start_threads(1)
            else:
                self._watch()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the idle threads end. Busy ones end with their calls; nobody waits for them."""
        with Shield():
            self._shut_down.set()
            self._starved.set()
        with self._lock:
            for _ in range(self._threads):
                self._jobs.put(None)

    def _start_threads(self, wanted: int) -> int:
        with self._lock:
            number = min(wanted, self._max_threads - self._threads)
            self._threads += number
            self._spare += number
        for _ in range(number):
            name = f"jumpstarter-call-{next(self._numbers)}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return number

    def _watch(self) -> None:
        """Have someone look after the calls that wait."""
        self._starved.set()
        with self._lock:
            if self._watching:
                return
            self._watching = True
        threading.Thread(target=self._feed, name="jumpstarter-call-watch", daemon=True).start()

    def _feed(self) -> None:
        """Start threads while calls wait and none is taken."""
        while self._starved.wait() and not self._shut_down.is_set():
            self._starved.clear()
            started = 0
            while waiting := self._jobs.qsize():
                before = self._taken
                if self._shut_down.wait(PATIENCE):
                    return
                # What the new threads began with is no progress: it may block, too.
                if self._taken - before > started:
                    started = 0
                else:
                    started = self._start_threads(min(waiting, 2 * started or 1))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._taken += 1  # a lost update costs nothing: any change is progress
            fn, args, kwargs, future = job
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                logger.debug("a call's handler failed", exc_info=True)
                future.set_exception(error)
            # What the call used must not live on until the next one arrives.
            del job, fn, args, kwargs, future
            with self._lock:
                if self._spare >= CORE_THREADS and self._threads > CORE_THREADS:
                    self._threads -= 1
                    return
                self._spare += 1
