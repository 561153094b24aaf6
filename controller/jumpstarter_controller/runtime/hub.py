"""Tells watchers that something changed. What it is now, they look up themselves: so a slow one misses nothing that counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Watch:
    """One watcher of one topic."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        self._event.set()

    async def changed(self, timeout: float | None = None) -> bool:
        """Wait until something changed since the last call; False after *timeout* seconds without."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Hub:
    """Topics are pairs such as ``("lease", "name")``."""

    def __init__(self) -> None:
        self._watches: dict[tuple[str, str], set[Watch]] = {}

    @contextmanager
    def watch(self, kind: str, name: str) -> Iterator[Watch]:
        """A watcher of that topic, as long as the block runs."""
        topic, watch = (kind, name), Watch()
        self._watches.setdefault(topic, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[topic]
            watches.discard(watch)
            if not watches:
                del self._watches[topic]

    def tell(self, topics: Iterable[tuple[str, str]]) -> None:
        """Wake the watchers of *topics*."""
        for topic in topics:
            for watch in self._watches.get(topic, ()):
                watch.tell()

    def tell_all(self) -> None:
        """Wake everybody, as the lab closes."""
        self.tell(list(self._watches))
