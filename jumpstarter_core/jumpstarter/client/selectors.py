"""Selectors as leases carry them, under the import names of stock Jumpstarter."""

from __future__ import annotations

from jumpstarter.common.selectors import Operator, Requirement, Selector


def parse_label_selector(selector: str) -> tuple[dict[str, str], list[Requirement]]:
    """(labels that must have one value, all other requirements). Raises ConfigurationError for a selector that is not valid."""
    parsed = Selector.parse(selector)
    return parsed.match_labels, [r for r in parsed.requirements if r.operator is not Operator.EQUALS]


def extract_match_labels_filter(selector: str) -> str | None:
    """The part of *selector* by which stock controllers can filter leases: ``key=value`` only; None when there is none."""
    labels, _ = parse_label_selector(selector)
    return str(Selector.matching(labels)) or None


def selector_contains(selector: str, requested: str) -> bool:
    """Whether *selector* has every requirement of *requested*."""
    return set(Selector.parse(requested).requirements) <= set(Selector.parse(selector).requirements)
