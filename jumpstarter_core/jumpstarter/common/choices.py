"""What chooses a board, a lease, a client or a file is never left to chance: nothing empty, no labels that do not fit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .exceptions import ArgumentError, ConfigurationError


def refuse_empty(arguments: Mapping[str, Any]) -> None:
    """Raise ArgumentError for an argument that is there and empty: what it was to choose must not be left to chance."""
    for name, value in arguments.items():
        if isinstance(value, (str, os.PathLike)) and str(value).strip() in ("", "."):
            raise ArgumentError(f"{name} is empty: give a value, or leave it out")


def check_labels(selector: str, labels: Mapping[str, str], whose: str) -> None:
    """Raise ConfigurationError unless *labels*, those of *whose*, are what *selector* selects, or it is not valid."""
    from .selectors import Selector

    if not Selector.parse(selector).selects(labels):
        has = ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "none"
        raise ConfigurationError(f"selector {selector} does not select {whose} (its labels: {has})")
