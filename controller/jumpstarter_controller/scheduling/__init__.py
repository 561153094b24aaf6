"""Who gets which exporter when: pure functions over the values of the model, with the time passed in."""

from .decisions import (
    Decisions,
    Grant,
    LabState,
    Notice,
    Outlook,
    Refusal,
    Rules,
    apply_decisions,
)
from .fleet import Fleet
from .scheduler import schedule

__all__ = [
    "Decisions",
    "Fleet",
    "Grant",
    "LabState",
    "Notice",
    "Outlook",
    "Refusal",
    "Rules",
    "apply_decisions",
    "schedule",
]
