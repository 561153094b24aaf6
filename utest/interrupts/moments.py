"""Signals at random moments whose handlers raise, and what they hit."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

#: Begins the lines of a program's report.
TITLE = "hit: "


class Interruption(BaseException):
    """What the handlers raise."""


def interrupt(number: int, frame: object) -> None:
    raise Interruption


def install() -> None:
    """Have SIGALRM and SIGINT raise `Interruption`."""
    for number in (signal.SIGALRM, signal.SIGINT):
        signal.signal(number, interrupt)


def installed() -> bool:
    """Whether they still do."""
    return all(signal.getsignal(number) is interrupt for number in (signal.SIGALRM, signal.SIGINT))


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """SIGALRM after *seconds*."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def keyboard(seconds: float) -> Iterator[None]:
    """SIGINT after *seconds*, from another thread. It has come when the context is left."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    started, hit = threading.Event(), False

    def run() -> None:
        started.set()
        timer.run()

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        yield
    except Interruption:
        hit = True
        raise
    finally:
        while not hit and thread.is_alive():
            try:
                thread.join()
            except Interruption:
                hit = True


#: Ways to interrupt, by their signal.
WAYS: dict[str, Callable[[float], AbstractContextManager[None]]] = {"SIGALRM": alarm, "SIGINT": keyboard}


class Hits:
    """How many interruptions hit which operation, by their signals."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, operation: str, way: str) -> None:
        self._counts.setdefault(operation, Counter())[way] += 1

    @property
    def total(self) -> int:
        return sum(counts.total() for counts in self._counts.values())

    def __str__(self) -> str:
        """A line for each operation."""
        return "\n".join(
            f"{TITLE}{operation}: {', '.join(f'{number} {way}' for way, number in sorted(counts.items()))}"
            for operation, counts in sorted(self._counts.items())
        )


def chosen(chance: random.Random) -> str:
    """One of `WAYS`."""
    return chance.choice(list(WAYS))
