"""Which exporters each client may have, in sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from jumpstarter_controller.model import AccessPolicy, Client, PolicyRule

from .masks import LabelIndex


@dataclass(frozen=True)
class Level:
    """The exporters that a client has with one priority, regularly or as spot access."""

    priority: int
    spot: bool
    exporters: int


class AccessIndex:
    """Answers, for client and duration, what `find_approval` answers for each exporter."""

    def __init__(self, policies: Sequence[AccessPolicy], index: LabelIndex) -> None:
        self._policies = [(policy, index.select(policy.exporters)) for policy in policies]
        self._everything = (Level(0, False, index.everything),)
        self._rules: dict[str, tuple[tuple[PolicyRule, int], ...]] = {}
        self._levels: dict[tuple[str, timedelta], tuple[Level, ...]] = {}

    def levels(self, client: Client, duration: timedelta) -> tuple[Level, ...]:
        """Disjoint sets of exporters with the best approval for each: regular ones first, higher priority first."""
        if not self._policies:
            return self._everything
        key = (client.name, duration)
        found = self._levels.get(key)
        if found is None:
            found = self._levels[key] = self._levels_of(client, duration)
        return found

    def rules(self, client: Client) -> tuple[tuple[PolicyRule, int], ...]:
        """The rules that name *client*, each with its exporters."""
        found = self._rules.get(client.name)
        if found is None:
            found = self._rules[client.name] = tuple(
                (rule, mask) for policy, mask in self._policies for rule in policy.rules if rule.names(client)
            )
        return found

    def _levels_of(self, client: Client, duration: timedelta) -> tuple[Level, ...]:
        sets: dict[tuple[bool, int], int] = {}
        for rule, exporters in self.rules(client):
            if rule.allows(duration):
                key = (rule.spot_access, -rule.priority)
                sets[key] = sets.get(key, 0) | exporters
        levels, seen = [], 0
        for (spot, negative), exporters in sorted(sets.items()):
            if exporters & ~seen:
                levels.append(Level(-negative, spot, exporters & ~seen))
            seen |= exporters
        return tuple(levels)
