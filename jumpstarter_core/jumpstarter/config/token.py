"""The keys ``token`` and ``refresh_token``: by what a controller knows its callers."""

from __future__ import annotations

from typing import Any

from jumpstarter.config.loader import KeyPath, Node, Problems
from jumpstarter.config.schema import INVALID, convert


def token_problem(text: str) -> str:
    """What no token has, and could not be sent with a call; "" where there is nothing of that kind."""
    if all("!" <= each <= "~" for each in text):
        return ""
    return "it has a blank, a line end or another character that no token has; copy it again"


def as_token(node: Node, where: KeyPath, problems: Problems) -> Any:
    """A token, or nothing. Line ends around it, as blocks of YAML and files of secrets have them, do not count."""
    value = convert(node, str | None, where, problems)
    if value is INVALID or not value:
        return value
    value = value.strip()
    if problem := token_problem(value):
        problems.add(node, where, problem)
        return INVALID
    return value
