"""One thread that does everybody's changes.

A durable commit waits for the disk for some milliseconds. Whatever is submitted meanwhile goes together into the next
commit, so that fifty clients pay for the disk once and not fifty times.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from .interface import StoreClosed, Transaction

T = TypeVar("T")

#: So much work shares a commit at most; it bounds how long the first of it waits for the last.
MAX_BATCH = 256


class Job(Generic[T]):
    """A piece of work and the future of the one who submitted it."""

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self.work = work
        self.future: Future[T] = Future()


class Writer:
    """Hands submitted work, in order, to *run_batch*, which settles the futures and does not raise."""

    def __init__(self, run_batch: Callable[[Sequence[Job[object]]], None]) -> None:
        self._run_batch = run_batch
        self._jobs: SimpleQueue[Job[object] | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        """Queue the work. Raises StoreClosed after `close`."""
        job = Job(work)
        with self._closing:
            if self._closed:
                raise StoreClosed("the store is closed")
            self._jobs.put(job)  # type: ignore[arg-type]
        return job.future

    def is_current(self) -> bool:
        """Whether the caller is work that this writer runs just now."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Finish what was submitted, and stop."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _loop(self) -> None:
        going = True
        while going:
            batch = [self._jobs.get()]
            while batch[-1] is not None and len(batch) < MAX_BATCH:
                try:
                    batch.append(self._jobs.get_nowait())
                except Empty:
                    break
            going = batch[-1] is not None
            jobs = [job for job in batch if job is not None]
            if jobs:
                self._run_batch(jobs)
