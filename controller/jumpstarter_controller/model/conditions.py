"""Conditions of a lease, as stock clients read them.

They look at types and reasons as strings, in this order: Ready, Unsatisfiable, Invalid, then Pending; command lines show
the last one of the list. Hence a lease keeps the order in which conditions came, and Pending stays True beside Ready:
a client that saw Pending False before Ready True would give up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class ConditionType(Enum):
    """What a condition is about."""

    PENDING = "Pending"
    READY = "Ready"
    UNSATISFIABLE = "Unsatisfiable"
    INVALID = "Invalid"


class Reason(Enum):
    """Why a condition is as it is, in the words that stock clients know."""

    # Pending
    OFFLINE = "Offline"
    NOT_AVAILABLE = "NotAvailable"
    NOT_READY = "NotReady"
    # Ready; the latter two when it is False
    READY = "Ready"
    RELEASED = "Released"
    EXPIRED = "Expired"
    # Unsatisfiable
    EXPORTER_NOT_FOUND = "ExporterNotFound"
    SELECTOR_MISMATCH = "SelectorMismatch"
    EXPORTER_DISABLED = "ExporterDisabled"
    ALL_DISABLED = "AllDisabled"
    NO_ACCESS = "NoAccess"
    # Invalid
    INVALID_SELECTOR = "InvalidSelector"


@dataclass(frozen=True)
class Condition:
    """One condition; *since* is when `status` became what it is."""

    type: ConditionType
    status: bool
    reason: Reason
    message: str
    since: datetime


def with_condition(conditions: tuple[Condition, ...], new: Condition) -> tuple[Condition, ...]:
    """*conditions* with *new* in the place of the one of its type, or at the end.

    The time of the old one is kept while the status stays.
    """
    for index, old in enumerate(conditions):
        if old.type is new.type:
            since = old.since if old.status == new.status else new.since
            kept = Condition(new.type, new.status, new.reason, new.message, since)
            return (*conditions[:index], kept, *conditions[index + 1 :])
    return (*conditions, new)
