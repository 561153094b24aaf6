"""Tells watchers that something changed. What it is now, they look up themselves: so a slow one misses nothing that counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
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
        self._told: dict[tuple[str, str], set[Callable[[], object]]] = {}

    @contextmanager
    def watch(self, kind: str, name: str) -> Iterator[Watch]:
        """A watcher of that topic, as long as the block runs."""
        watch = Watch()
        with self.told(kind, name, watch.tell):
            yield watch

    @contextmanager
    def told(self, kind: str, name: str, action: Callable[[], object]) -> Iterator[None]:
        """*action* is called at each change of that topic, as long as the block runs."""
        topic = kind, name
        self._told.setdefault(topic, set()).add(action)
        try:
            yield
        finally:
            actions = self._told[topic]
            actions.discard(action)
            if not actions:
                del self._told[topic]

    def tell(self, topics: Iterable[tuple[str, str]]) -> None:
        """Wake the watchers of *topics*."""
        for topic in topics:
            for action in self._told.get(topic, ()):
                action()

    def tell_all(self) -> None:
        """Wake everybody, as the lab closes."""
        self.tell(list(self._told))
