"""Access policies: who may lease which exporter, for how long, and before whom.

A lab without any policy lets everyone lease everything. With policies, a client needs a rule that names it in a policy that
names the exporter. Regular access goes before spot access, then the higher priority counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from jumpstarter.common.durations import format_duration
from jumpstarter.common.selectors import Selector

from .clients import Client
from .errors import NotPermitted
from .exporters import Exporter

#: Descriptions of refused rules are cut at this length, in characters.
MAX_DESCRIPTIONS = 4096


@dataclass(frozen=True, kw_only=True)
class PolicyRule:
    """What the clients that one of *clients* selects may do. Without *clients* it is for nobody."""

    clients: tuple[Selector, ...] = ()
    priority: int = 0
    maximum_duration: timedelta | None = None
    spot_access: bool = False
    description: str = ""

    def names(self, client: Client) -> bool:
        """Whether the rule is for *client*."""
        return any(selector.selects(client.labels) for selector in self.clients)

    def allows(self, duration: timedelta) -> bool:
        """Whether a lease of *duration* in all is within the rule."""
        return self.maximum_duration is None or duration <= self.maximum_duration


@dataclass(frozen=True, kw_only=True)
class AccessPolicy:
    """Rules for the exporters that *exporters* selects."""

    name: str
    exporters: Selector = field(default_factory=Selector)
    rules: tuple[PolicyRule, ...] = ()


@dataclass(frozen=True)
class Approval:
    """How a client may have an exporter."""

    priority: int = 0
    spot: bool = False


def find_approval(
    policies: Iterable[AccessPolicy], client: Client, exporter: Exporter, duration: timedelta
) -> Approval | None:
    """The best way in which *client* may hold *exporter* for *duration* in all; None when it may not."""
    policies = tuple(policies)
    if not policies:
        return Approval()
    ways = (
        Approval(rule.priority, rule.spot_access)
        for rule in _rules_for(policies, client, exporter)
        if rule.allows(duration)
    )
    return max(ways, key=lambda way: (not way.spot, way.priority), default=None)


def check_access(
    policies: Iterable[AccessPolicy], client: Client, exporter: Exporter, duration: timedelta
) -> Approval:
    """As `find_approval`, for a lease that is extended or transferred.

    Args:
        duration: of the lease in all, from its begin to its new end.

    Raises:
        NotPermitted: no rule names the client for this exporter, or each of them allows less time.
    """
    policies = tuple(policies)
    approval = find_approval(policies, client, exporter, duration)
    if approval is not None:
        return approval
    longest = longest_allowed(_rules_for(policies, client, exporter))
    if longest is None:
        raise NotPermitted(
            f"permission denied: no access policy lets client {client.name} use exporter {exporter.name}"
            + described(policies, client)
        )
    raise NotPermitted(
        f"permission denied: {format_duration(duration)} is longer than the {format_duration(longest)} that access "
        f"policies let client {client.name} use exporter {exporter.name}"
    )


def longest_allowed(rules: Iterable[PolicyRule]) -> timedelta | None:
    """The longest of the maximum durations; None without rules. Only for rules that all have one."""
    return max((r.maximum_duration for r in rules if r.maximum_duration is not None), default=None)


def described(policies: Iterable[AccessPolicy], client: Client) -> str:
    """What to add for a refused client: the descriptions of the rules that do not name it, each once, or nothing."""
    texts = dict.fromkeys(
        rule.description
        for policy in policies
        for rule in policy.rules
        if rule.description and not rule.names(client)
    )
    return f" ({'; '.join(texts)[:MAX_DESCRIPTIONS]})" if texts else ""


def _rules_for(
    policies: tuple[AccessPolicy, ...], client: Client, exporter: Exporter
) -> Iterator[PolicyRule]:
    for policy in policies:
        if policy.exporters.selects(exporter.labels):
            yield from (rule for rule in policy.rules if rule.names(client))
