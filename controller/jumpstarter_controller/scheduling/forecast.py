"""What waiters can be told: their place in the queue, when their turn comes at the latest, what is free meanwhile."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from jumpstarter_controller.model import Lease

from .board import Boards
from .decisions import Outlook, Rules
from .masks import bits
from .reasons import explain_wait
from .turns import Waiter

#: Sets up to this size are searched one by one, larger ones from the exporter on that becomes free first.
_FEW = 24
#: Estimates beyond the year 9000 are none.
_FAR = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


def look_ahead(
    line: Iterable[Waiter], places: Mapping[str, int], boards: Boards, rules: Rules, now: datetime
) -> Mapping[str, Outlook]:
    """The outlook of each waiter of *line*, who come in the order of their turns, by the lease's name."""
    ahead: dict[int, int] = {}
    timetable: _Timetable | None = None
    outlooks: dict[str, Outlook] = {}
    for waiter in line:
        lease, wanted = waiter.lease, waiter.exporters
        if lease.waits_since > now:
            begin = lease.waits_since
            message = f"begins at {begin.isoformat(timespec='seconds')}"
            outlooks[lease.name] = Outlook(None, message, 0, begin if lease.name in places else None)
            continue
        reason, message = explain_wait(wanted, boards)
        position = 1 + sum(count for mask, count in ahead.items() if mask & wanted)
        ahead[wanted] = ahead.get(wanted, 0) + 1
        # It costs as much as the lab is large, and most of the time nobody waits.
        timetable = timetable or _Timetable(boards, rules, now)
        estimate = timetable.place(lease, waiter.regular & boards.online)
        outlooks[lease.name] = Outlook(
            reason, message, position, estimate, _longest_free(wanted & boards.free, boards, now)
        )
    return outlooks


def _longest_free(mask: int, boards: Boards, now: datetime) -> timedelta | None:
    """How long the best of the free exporters stays unreserved."""
    return max(
        (boards.next_reservation(number) - now for number in bits(mask & boards.reserved)), default=None
    )


class _Timetable:
    """When each exporter becomes free, if everyone ahead takes the first that does and keeps it to the end."""

    def __init__(self, boards: Boards, rules: Rules, now: datetime) -> None:
        self._zone = now.tzinfo
        self._free = [
            boards.leaves_at(number, now, rules.spot_notice).timestamp()
            for number in range(len(boards.exporters))
        ]
        self._reserved = {
            number: sorted((begin.timestamp(), end.timestamp()) for begin, end in reservations)
            for number, reservations in boards.reservations.items()
        }
        self._line = sorted((free, number) for number, free in enumerate(self._free))

    def place(self, lease: Lease, mask: int) -> datetime | None:
        """When *lease* gets one of *mask*, which is taken up then."""
        if not mask:
            return None
        times = lease.spec.times
        duration = times.duration.total_seconds()
        start, number = self._first(mask, duration)
        end = start + duration
        if times.window_end is not None:
            end = times.window_end.timestamp()
        if start >= min(end, _FAR):
            return None
        self._take(number, end)
        return datetime.fromtimestamp(start, self._zone)

    def _first(self, mask: int, duration: float) -> tuple[float, int]:
        if mask.bit_count() <= _FEW:
            return min((self._start(number, duration), number) for number in bits(mask))
        best: tuple[float, int] | None = None
        for free, number in self._line:
            if best is not None and best[0] <= free:
                break
            if mask >> number & 1:
                found = (self._start(number, duration), number)
                best = found if best is None else min(best, found)
        assert best is not None, "the mask is not empty and all exporters are in the line"
        return best

    def _start(self, number: int, duration: float) -> float:
        """When that exporter is free for so long."""
        start = self._free[number]
        for since, until in self._reserved.get(number, ()):
            if start + duration <= since:
                break
            start = max(start, until)
        return start

    def _take(self, number: int, until: float) -> None:
        del self._line[bisect_left(self._line, (self._free[number], number))]
        self._free[number] = until
        insort(self._line, (until, number))
