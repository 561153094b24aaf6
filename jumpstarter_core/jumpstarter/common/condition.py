"""Questions about the conditions of a lease or exporter, as Kubernetes objects carry them.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md describes them:
a condition has a type, a status (True, False or Unknown), a reason in one word and a message for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Condition(Protocol):
    """What is read of a condition; the messages of kubernetes.proto fit."""

    @property
    def type(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...


def condition_present_and_equal(
    conditions: Iterable[Condition], condition_type: str, status: str, reason: str | None = None
) -> bool:
    """Whether there is a condition of that type with that status (and that *reason*, where given)."""
    return any(c.status == status for c in _matching(conditions, condition_type, reason))


def condition_message(
    conditions: Iterable[Condition], condition_type: str, reason: str | None = None
) -> str | None:
    """The message of the condition of that type (and *reason*, where given); None when there is none."""
    return next((c.message for c in _matching(conditions, condition_type, reason)), None)


def condition_true(conditions: Iterable[Condition], condition_type: str) -> bool:
    """Whether the condition of that type is there and True."""
    return condition_present_and_equal(conditions, condition_type, "True")


def condition_false(conditions: Iterable[Condition], condition_type: str) -> bool:
    """Whether the condition of that type is there and False."""
    return condition_present_and_equal(conditions, condition_type, "False")


def _matching(
    conditions: Iterable[Condition], condition_type: str, reason: str | None
) -> Iterable[Condition]:
    return (c for c in conditions if c.type == condition_type and reason in (None, c.reason))
