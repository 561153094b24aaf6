"""The key ``endpoint``: where the controller is."""

from __future__ import annotations

from typing import Any

from jumpstarter.common.addresses import address_problem
from jumpstarter.config.loader import KeyPath, Node, Problems
from jumpstarter.config.schema import INVALID, convert


def endpoint(node: Node, where: KeyPath, problems: Problems) -> Any:
    """HOST:PORT, or nothing."""
    value = convert(node, str | None, where, problems)
    if value is INVALID or not value:
        return value
    if problem := address_problem(value):
        problems.add(
            node, where, f"found '{value}': {problem}; expected HOST:PORT, such as lab.example.com:8082"
        )
        return INVALID
    return value
