"""Which leases may have streams, as the controller said last: what a data plane goes by while there is no controller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """Whose lease it is, and when it ends, in seconds since 1970; None for never."""

    client: str
    end: float | None


class LeaseTable:
    """The leases that have an exporter. *clock* gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: dict[str, Entry] = {}

    def put(self, name: str, client: str, end: float | None) -> None:
        """The lease is new, or has other times."""
        self._entries[name] = Entry(client, end)

    def forget(self, name: str) -> None:
        """The lease is over, or another client's."""
        self._entries.pop(name, None)

    def replace(self, leases: Mapping[str, Entry], used: Collection[str]) -> list[str]:
        """Take *leases* for all there are; gives those of *used* that are over, or another client's, by that."""
        before, self._entries = self._entries, dict(leases)
        return [name for name in used if not self._goes_on(name, before.get(name))]

    def _goes_on(self, name: str, before: Entry | None) -> bool:
        now = self._entries.get(name)
        return now is not None and (before is None or before.client == now.client)

    async def ends(self, cut: Callable[[str], object]) -> None:
        """*cut* every lease at its end; for while there is no controller that does, and changes no lease."""
        ends = ((entry.end, name) for name, entry in self._entries.items() if entry.end is not None)
        for end, name in sorted(ends):
            await asyncio.sleep(max(end - self._clock(), 0))
            cut(name)
