"""Access policies as stock Jumpstarter writes them: kind ExporterAccessPolicy."""

from __future__ import annotations

from typing import Any

from jumpstarter.common.durations import format_duration
from jumpstarter.common.selectors import Operator, Selector

from .admin import API_VERSION
from .object_files import POLICY

KIND = POLICY
OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.ABSENT,
}


def described_policy(policy: Any) -> dict[str, Any]:
    """A policy of the wire as plain data, which `policy_files` reads."""
    rules = []
    for rule in policy.rules:
        item: dict[str, Any] = {
            "priority": rule.priority,
            "from": [{"clientSelector": _selector_data(text)} for text in rule.client_selectors],
        }
        if rule.description:
            item["description"] = rule.description
        if rule.HasField("maximum_duration"):
            item["maximumDuration"] = format_duration(rule.maximum_duration.ToTimedelta())
        if rule.spot_access:
            item["spotAccess"] = True
        rules.append(item)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": policy.name, "namespace": policy.namespace},
        "spec": {"exporterSelector": _selector_data(policy.exporter_selector), "policies": rules},
    }


def _selector_data(text: str) -> dict[str, Any]:
    selector, found = Selector.parse(text), dict[str, Any]()
    if selector.match_labels:
        found["matchLabels"] = selector.match_labels
    expressions = []
    for requirement in selector.requirements:
        if requirement.operator is Operator.EQUALS:
            continue
        name = next(name for name, operator in OPERATORS.items() if operator is requirement.operator)
        expression: dict[str, Any] = {"key": requirement.key, "operator": name}
        if requirement.values:
            expression["values"] = sorted(requirement.values)
        expressions.append(expression)
    if expressions:
        found["matchExpressions"] = expressions
    return found


def names_nobody(policy: Any) -> bool:
    """Whether no client is let in by *policy*: it has no rule, or none that names a client."""
    return not any(rule.client_selectors for rule in policy.rules)


def nobody_notice(policy: Any) -> str:
    """What to tell of a *policy* that lets no client in; else ""."""
    if not names_nobody(policy):
        return ""
    which = f"exporters with {policy.exporter_selector}" if policy.exporter_selector else "any exporter"
    return f"Policy '{policy.name}' names no client: it lets nobody use {which}, unless another policy does"
