"""The threads that serve calls: blocked jobs never hold up others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from jumpstarter.session.executor import CORE_THREADS, DaemonExecutor


@pytest.fixture
def executor() -> Iterator[DaemonExecutor]:
    executor = DaemonExecutor()
    yield executor
    executor.shutdown()


def test_results_and_errors_come_through_futures(executor: DaemonExecutor) -> None:
    assert executor.submit(divmod, 7, 2).result(60) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 7, 0).result(60)


def test_a_thread_serves_again_after_an_error(executor: DaemonExecutor) -> None:
    for _ in range(3 * CORE_THREADS):
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 7, 0).result(60)
    assert executor.submit(divmod, 7, 2).result(60) == (3, 1)


def test_many_blocked_jobs_do_not_hold_up_another(executor: DaemonExecutor) -> None:
    release = threading.Event()
    blocked = [executor.submit(release.wait, 60) for _ in range(100)]
    assert executor.submit(lambda: "served").result(60) == "served"
    assert not any(job.done() for job in blocked)
    release.set()
    assert all(job.result(60) for job in blocked)


def test_threads_that_are_not_needed_any_more_end(executor: DaemonExecutor) -> None:
    together = threading.Barrier(10 * CORE_THREADS)

    def meet() -> threading.Thread:
        together.wait(60)
        return threading.current_thread()

    jobs = [executor.submit(meet) for _ in range(10 * CORE_THREADS)]
    threads = [job.result(60) for job in jobs]
    assert len(set(threads)) == 10 * CORE_THREADS
    deadline = monotonic() + 60
    while sum(thread.is_alive() for thread in threads) > CORE_THREADS:
        assert monotonic() < deadline
        threads[-1].join(0.01)
    assert executor.submit(divmod, 7, 2).result(60) == (3, 1)


def test_every_job_starts_however_busy_it_was_before(executor: DaemonExecutor) -> None:
    """No thread may be counted on twice, or a job waits for one that is blocked."""
    for _ in range(60):
        with ThreadPoolExecutor(4) as callers:
            list(callers.map(lambda _: executor.submit(int).result(60), range(40)))
        together = threading.Barrier(2 * CORE_THREADS + 1)
        jobs = [executor.submit(together.wait, 60) for _ in range(2 * CORE_THREADS)]
        together.wait(60)
        for job in jobs:
            job.result(60)


def test_no_more_threads_than_allowed_and_the_rest_waits() -> None:
    executor = DaemonExecutor(max_threads=CORE_THREADS)
    release = threading.Event()
    try:
        jobs = [executor.submit(release.wait, 60) for _ in range(2 * CORE_THREADS)]
        names = {t.name for t in threading.enumerate() if t.name.startswith("jumpstarter-call-")}
        release.set()
        assert all(job.result(60) for job in jobs)
        assert len({name for name in names if name != "jumpstarter-call-watch"}) >= CORE_THREADS
        assert executor._threads == CORE_THREADS
    finally:
        executor.shutdown()


def test_after_shutdown_nothing_is_taken(executor: DaemonExecutor) -> None:
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)


def test_shutdown_waits_for_nobody(executor: DaemonExecutor) -> None:
    release = threading.Event()
    job = executor.submit(release.wait, 60)
    executor.shutdown()
    assert not job.done()
    release.set()
    assert job.result(60)
