"""Taking spot access back, with notice, when a regular waiter needs the exporter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from jumpstarter_controller.model import Lease, LeaseState

from .board import Boards
from .decisions import LabState, Notice
from .turns import Turn


def take_back(
    turns: Iterable[Turn], places: Mapping[str, int], boards: Boards, state: LabState, now: datetime
) -> tuple[Notice, ...]:
    """Notices to spot leases: one for each regular waiter whom nothing that becomes free soon helps.

    Args:
        turns: of those who got nothing, in order.
        places: the exporters reserved for those of them who begin later, by lease.
    """
    soon = now + state.rules.spot_notice
    known = {lease.name for lease in state.leases if lease.state is LeaseState.READY}
    open_to_notice = {
        number: lease
        for number, lease in boards.holders.items()
        if lease.spot and lease.name in known and lease.expires_at is not None and lease.expires_at > soon
    }
    if not open_to_notice:
        return ()
    coming = _coming_free(boards, soon)
    ranked = sorted(open_to_notice, key=lambda number: _rank(open_to_notice[number], number))
    notices: list[Notice] = []
    helped: set[str] = set()
    for turn in turns:
        lease = turn.waiter.lease
        if turn.level.spot or lease.name in helped:
            continue
        number: int | None
        if lease.waits_since > now:
            number = places.get(lease.name) if lease.waits_since <= soon else None
        else:
            end = lease.spec.times.window_end or soon + lease.spec.times.duration
            near = boards.without_collision(turn.level.exporters & coming, soon, end)
            if near is not None:
                coming &= ~(1 << near)
                helped.add(lease.name)
                continue
            wanted = turn.level.exporters & boards.online
            number = next(
                (n for n in ranked if wanted >> n & 1 and boards.collision(n, soon, end) is None), None
            )
        if number in open_to_notice:
            spot = open_to_notice.pop(number)
            ranked.remove(number)
            boards.hold(number, spot.warned(soon))
            notices.append(Notice(spot.name, soon, lease.name))
            helped.add(lease.name)
    return tuple(notices)


def _coming_free(boards: Boards, soon: datetime) -> int:
    """Exporters that become free within the notice anyway."""
    mask = boards.passing & ~boards.held
    for number, lease in boards.holders.items():
        if boards.online >> number & 1 and (lease.expires_at or soon) <= soon:
            mask |= 1 << number
    return mask


def _rank(lease: Lease, number: int) -> tuple[int, float, int]:
    """Whoever was granted the least goes first: the lowest priority, then the youngest."""
    begun = lease.begun_at.timestamp() if lease.begun_at is not None else 0.0
    return (lease.priority, -begun, number)
