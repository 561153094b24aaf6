"""Loops around what is measured, the same for a subject and its limit."""

from __future__ import annotations

import math
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from .payload import CHUNK

WARM_UP = 50


def percentile(durations: Sequence[float], percent: float) -> float:
    """The duration that *percent* of a hundred do not exceed."""
    ranked = sorted(durations)
    return ranked[max(math.ceil(len(ranked) * percent / 100) - 1, 0)]


def p50(call: Callable[[], object], count: int) -> float:
    """The median duration of one call, in microseconds."""
    for _ in range(WARM_UP):
        call()
    durations = []
    for _ in range(count):
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations) * 1e6


def concurrent(call: Callable[[], object], threads: int, count: int) -> float:
    """Calls per second that *threads* threads make together, *count* each."""
    ready = threading.Barrier(threads + 1)

    def work() -> None:
        ready.wait()
        for _ in range(count):
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    return threads * count / (time.perf_counter() - started)


def items(source: Iterable[object], count: int) -> float:
    """Items per second of *source*. Raises ValueError when they are not *count*."""
    started = time.perf_counter()
    found = sum(1 for _ in source)
    duration = time.perf_counter() - started
    if found != count:
        raise ValueError(f"expected {count} items, got {found}")
    return count / duration


def rate(size: int, started: float) -> float:
    """MB/s (10^6 bytes) of *size* bytes since *started*."""
    return size / (time.perf_counter() - started) / 1e6


def push(address: tuple[str, int], size: int) -> float:
    """MB/s at which the sink at *address* takes *size* bytes, until it has confirmed the last one."""
    with socket.create_connection(address) as sock:
        started = time.perf_counter()
        for _ in range(size // len(CHUNK)):
            sock.sendall(CHUNK)
        sock.shutdown(socket.SHUT_WR)
        confirmed = int(sock.makefile("rb").read())
        speed = rate(size, started)
    if confirmed != size:
        raise ValueError(f"the sink got {confirmed} of {size} bytes")
    return speed
