"""Log lines that strangers cause: a few for each of them in a minute, the others counted, so that nobody can fill a disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: Seconds of a window.
INTERVAL: Final = 60.0
#: Lines for one peer in a window.
BURST: Final = 3
#: Peers that are told apart in a window; all others count as one.
PEERS: Final = 256
#: Characters of a line at the most; peers choose what is in it.
LENGTH: Final = 300


@dataclass
class _Window:
    begin: float
    lines: int = 0
    held: int = 0


class ThrottledLog:
    """Writes to *logger*, `BURST` lines for a key in `INTERVAL` seconds. For all threads; *clock* gives seconds."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._lock = threading.Lock()

    def log(self, level: int, key: str, message: str) -> None:
        """Write *message*, cut where it is too long, unless *key* has had its lines; tells how many were held back."""
        held = self._admit(key)
        if held is None:
            return
        more = f" ({held} more lines like this were held back)" if held else ""
        self._logger.log(level, "%s%s", one_line(message), more)

    def warning(self, key: str, message: str) -> None:
        """`log` a warning."""
        self.log(logging.WARNING, key, message)

    def _admit(self, key: str) -> int | None:
        """How many lines of *key* were held back in the window before; None when this one is to be held back."""
        with self._lock:
            now, window = self._clock(), self._windows.get(key)
            if window is None and len(self._windows) >= PEERS:
                self._windows = {k: w for k, w in self._windows.items() if now - w.begin < INTERVAL}
                if len(self._windows) >= PEERS:
                    key = "other peers"
                    window = self._windows.get(key)
            held = 0
            if window is None or now - window.begin >= INTERVAL:
                held = window.held if window is not None else 0
                window = self._windows[key] = _Window(now)
            if window.lines >= BURST:
                window.held += 1
                return None
            window.lines += 1
            return held


def one_line(text: str) -> str:
    """*text* as one line of at most `LENGTH` characters, without control characters."""
    text = text if len(text) <= LENGTH else f"{text[: LENGTH - 3]}..."
    return "".join(each if each.isprintable() else "?" for each in text)


def peer_host(peer: str) -> str:
    """The host of a peer of gRPC: ``ipv4:10.0.0.7:4711`` as ``10.0.0.7``; others as they are."""
    family, _, address = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return peer
    return address.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
