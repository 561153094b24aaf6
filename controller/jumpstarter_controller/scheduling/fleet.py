"""The lab's exporters as sets, kept from one decision to the next: what has not changed is not looked at again.

A fleet says what `Fleet(exporters, now)` would say, however it came about; a property test holds it to that.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from jumpstarter.common.enums import ExporterStatus

from jumpstarter_controller.model import OFFLINE_AFTER, PASSING_STATUSES, READY_STATUSES, Exporter

from .masks import LabelIndex


class Fleet:
    """Sets of *exporters* at the time *now*. A number is an exporter's place in the order of names.

    `enabled` ones may be leased, `online` ones are registered and were heard of, `ready` ones of these could begin a lease if
    nobody held them, `passing` ones will be ready by themselves soon.
    """

    def __init__(self, exporters: Iterable[Exporter], now: datetime) -> None:
        self.exporters = sorted(exporters, key=lambda exporter: exporter.name)
        self.numbers = {exporter.name: number for number, exporter in enumerate(self.exporters)}
        self.labels = LabelIndex(self.exporters)
        self.enabled = self._present = self._ready = self._passing = self._heard = 0
        self._now = now
        # When an exporter counts as silent, if it is not heard of before; the first is the next one. `_due` has the earliest.
        self._silent: list[tuple[datetime, int]] = []
        self._due: dict[int, datetime] = {}
        for number, exporter in enumerate(self.exporters):
            self._place(number, exporter)

    @property
    def online(self) -> int:
        """Those that are registered, and were heard of."""
        return self._present & self._heard

    @property
    def ready(self) -> int:
        """Those of them that could begin a lease."""
        return self.online & self._ready

    @property
    def passing(self) -> int:
        """Those of them that will be ready soon."""
        return self.online & self._passing

    def update(self, changed: Mapping[str, Exporter | None]) -> bool | None:
        """Take over what *changed*; returns whether a decision may depend on it.

        None: exporters came or went, and it takes another fleet.
        """
        if any((exporter is None) == (name in self.numbers) for name, exporter in changed.items()):
            return None
        counts = False
        for name, exporter in changed.items():
            if exporter is not None:
                counts |= self._change(self.numbers[name], exporter)
        return counts

    def advance(self, now: datetime, current: Callable[[str], Exporter | None]) -> bool:
        """It is *now*; returns whether that changes anything. *current* finds an exporter: it may have been heard of since."""
        if now < self._now:  # the clock was set
            self._heard, self._now = 0, now
            self._silent.clear()
            self._due.clear()
            for number in range(len(self.exporters)):
                self._listen(number, self._latest(number, current))
            return True
        before, self._now = self._heard, now
        while self._silent and self._silent[0][0] < now:
            due, number = heapq.heappop(self._silent)
            if self._due.get(number) == due:
                del self._due[number]
                self._listen(number, self._latest(number, current))
        return self._heard != before

    def _latest(self, number: int, current: Callable[[str], Exporter | None]) -> Exporter:
        old = self.exporters[number]
        return current(old.name) or old

    def _change(self, number: int, exporter: Exporter) -> bool:
        before = self.exporters[number]
        self.exporters[number] = exporter
        was = self._said(number)
        self._place(number, exporter)
        if before.labels == exporter.labels:
            return self._said(number) != was
        self.labels.move(number, before.labels, exporter.labels)
        return True

    def _said(self, number: int) -> tuple[int, ...]:
        bit = 1 << number
        return (
            self.enabled & bit,
            self._present & bit,
            self._ready & bit,
            self._passing & bit,
            self._heard & bit,
        )

    def _place(self, number: int, exporter: Exporter) -> None:
        bit = 1 << number
        self.enabled = _with(self.enabled, bit, exporter.enabled)
        present = exporter.registered and exporter.lost_at is None
        present &= exporter.status is not ExporterStatus.OFFLINE
        self._present = _with(self._present, bit, present)
        self._ready = _with(self._ready, bit, exporter.status in READY_STATUSES)
        self._passing = _with(self._passing, bit, exporter.status in PASSING_STATUSES)
        self._listen(number, exporter)

    def _listen(self, number: int, exporter: Exporter) -> None:
        """Note until when the exporter counts as heard of."""
        due = exporter.last_seen + OFFLINE_AFTER if exporter.last_seen is not None else None
        heard = due is not None and self._now <= due
        self._heard = _with(self._heard, 1 << number, heard)
        known = self._due.get(number)
        if due is not None and heard and (known is None or due < known):
            self._due[number] = due
            heapq.heappush(self._silent, (due, number))


def _with(mask: int, bit: int, member: bool) -> int:
    return mask | bit if member else mask & ~bit
