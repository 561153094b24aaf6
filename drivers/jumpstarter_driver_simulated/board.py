"""A board: the pure machine, a real clock, and the consoles that listen to its serial line.

Nothing runs by itself: the machine is brought up to date whenever someone looks at it, so a board that nobody
reads costs no thread and no task. All methods may be called from any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .image import CardContent
from .machine import Machine, Settings
from .states import State


class Console:
    """One listener to a board's serial line; made by `Board.attach`.

    Args:
        wake: called, from any thread and with the board's lock held, when there may be something new.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.pending = bytearray()


class Board:
    """A machine that lives in real time.

    Output made while no console listens is kept (the newest *keep* bytes) and given to the first console
    that attaches, as the console server in front of a lab's board does; switching the power on begins anew,
    so that nobody reads the log of an earlier boot. A console that is not read loses its oldest output beyond
    *keep* bytes.

    Args:
        settings: how the machine behaves.
        keep: bytes of serial output to keep.
        clock: seconds, monotonic.
    """

    def __init__(self, settings: Settings, *, keep: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._machine = Machine(settings)
        self._keep = keep
        self._clock = clock
        self._lock = threading.Lock()
        self._consoles: list[Console] = []
        self._backlog = bytearray()

    def power(self, on: bool) -> None:
        """Switch the board's supply on or off; nothing happens when it is so already."""
        with self._lock:
            if not on:
                self._machine.power_off(self._clock())
            elif self._machine.state is State.OFF:
                self._backlog.clear()
                self._machine.power_on(self._clock())
            self._distribute(wake=True)

    def measure(self) -> tuple[float, float]:
        """The voltage in volts and the current in amperes at the board's input."""
        with self._lock:
            self._bring_up_to_date()
            return self._machine.voltage, self._machine.current

    @property
    def state(self) -> State:
        """What the board is doing now."""
        with self._lock:
            self._bring_up_to_date()
            return self._machine.state

    def insert_card(self, card: CardContent | None) -> None:
        """Put a card with this content in the board's slot; None takes the card out."""
        with self._lock:
            self._machine.insert_card(card, self._clock())
            self._distribute(wake=True)

    def send(self, data: bytes) -> None:
        """Send bytes to the board over its serial line."""
        with self._lock:
            self._machine.receive(data, self._clock())
            self._distribute(wake=True)

    def attach(self, wake: Callable[[], None]) -> Console:
        """Begin to listen. The first listener gets the output that nobody has read."""
        console = Console(wake)
        with self._lock:
            self._bring_up_to_date()
            console.pending += self._backlog
            self._backlog.clear()
            self._consoles.append(console)
        return console

    def detach(self, console: Console) -> None:
        """Stop listening. What this listener, the last one, was not given is kept for the next."""
        with self._lock:
            self._bring_up_to_date()
            self._consoles.remove(console)
            if not self._consoles:
                self._backlog += console.pending
                self._trim(self._backlog)

    def take(self, console: Console, max_bytes: int | None = None) -> tuple[bytes, float | None]:
        """New output for *console*, *max_bytes* at most, and the seconds until the board says more by itself.

        The seconds are None when the board waits for someone.
        """
        with self._lock:
            self._bring_up_to_date()
            data = bytes(console.pending[:max_bytes])
            del console.pending[: len(data)]
            due = self._machine.next_due
            return data, None if due is None else max(0.0, due - self._clock())

    def reset(self) -> None:
        """Take the power away, and forget the saved environment and the output that nobody has read."""
        with self._lock:
            self._machine.power_off(self._clock())
            self._machine.erase_environment()
            self._machine.take_output()
            self._backlog.clear()

    def _bring_up_to_date(self) -> None:
        self._machine.advance(self._clock())
        self._distribute()

    def _distribute(self, *, wake: bool = False) -> None:
        output = self._machine.take_output()
        for buffer in [console.pending for console in self._consoles] or [self._backlog]:
            buffer += output
            self._trim(buffer)
        if output or wake:
            for console in self._consoles:
                console.wake()

    def _trim(self, buffer: bytearray) -> None:
        del buffer[: max(0, len(buffer) - self._keep)]
