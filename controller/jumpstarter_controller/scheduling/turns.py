"""The line of waiters, walked once: who gets an exporter now, and where those who begin later have their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from jumpstarter_controller.model import Lease

from .access import Level
from .board import Boards
from .decisions import Grant, Rules


@dataclass(frozen=True)
class Waiter:
    """A lease that waits, with the exporters that it may have, by how it may have them."""

    lease: Lease
    levels: tuple[Level, ...]

    @property
    def regular(self) -> int:
        """The exporters that it may have for the whole time."""
        return sum(level.exporters for level in self.levels if not level.spot)

    @property
    def exporters(self) -> int:
        """The exporters that it may have at all. (The levels of a waiter are disjoint.)"""
        return sum(level.exporters for level in self.levels)


@dataclass(frozen=True)
class Turn:
    """One set of exporters for which a waiter stands in line; turns are taken in the order of `order`."""

    order: tuple[int, float, float, str]
    waiter: Waiter
    level: Level


def grant_in_turn(
    turns: Iterable[Turn], boards: Boards, rules: Rules, now: datetime
) -> tuple[tuple[Grant, ...], Mapping[str, int]]:
    """The grants, which *boards* then knows, and the exporters that are reserved for those who begin later.

    Nobody gets an exporter that is reserved, within the time asked for, for one who came before in the line.
    """
    turns = tuple(turns)
    grants: dict[str, Grant] = {}
    places: dict[str, int] = {}
    asked_by_name = _asked_by_name(turns)
    # Fewer and fewer exporters are free while the line is walked: what failed once fails again.
    failed: set[tuple[int, bool, datetime, datetime]] = set()
    for turn in turns:
        lease, level = turn.waiter.lease, turn.level
        later = lease.waits_since > now
        if lease.name in grants or lease.name in places or (later and level.spot):
            continue
        begin = lease.waits_since if later else now
        end = lease.spec.times.window_end or begin + lease.spec.times.duration
        if level.spot:
            # Not where the notice would have to be given at once.
            end = min(end, now + rules.spot_notice + timedelta.resolution)
        attempt = (level.exporters, later, begin, end)
        if attempt in failed:
            continue
        candidates = boards.empty_at(begin, rules.spot_notice, now) if later else boards.free
        candidates &= level.exporters
        number = boards.without_collision(candidates & ~asked_by_name, begin, end)
        if number is None:
            number = boards.without_collision(candidates, begin, end)
        if number is None:
            failed.add(attempt)
        elif later:
            places[lease.name] = number
            boards.reserve(number, begin, end)
        else:
            exporter = boards.exporters[number].name
            grants[lease.name] = Grant(lease.name, exporter, level.priority, level.spot)
            boards.hold(number, lease.granted(now, exporter, level.priority, level.spot))
    return tuple(grants.values()), places


def _asked_by_name(turns: Iterable[Turn]) -> int:
    """Exporters without which somebody cannot do: others take them last."""
    mask = 0
    for turn in turns:
        if turn.waiter.lease.spec.exporter_name:
            mask |= turn.level.exporters
    return mask
