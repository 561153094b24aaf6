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
from .scheduler import schedule

__all__ = [
    "Decisions",
    "Grant",
    "LabState",
    "Notice",
    "Outlook",
    "Refusal",
    "Rules",
    "apply_decisions",
    "schedule",
]
