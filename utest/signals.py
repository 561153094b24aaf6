"""A signal whose handler raises, as that of Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: The signal.
NUMBER: Final = signal.SIGUSR1


class Interrupted(Exception):
    """What the handler raises."""


@contextmanager
def raising() -> Iterator[None]:
    """Have the handler of `NUMBER` raise `Interrupted` while the context lasts."""

    def interrupt(signum: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(NUMBER, interrupt)
    try:
        yield
    finally:
        signal.signal(NUMBER, before)
