"""For how long a `jmp shell` has calls wait when the way to its exporter breaks: in the environment of what runs in it."""

from __future__ import annotations

import os
from typing import Final

#: Seconds, a whole number.
SHELL_WAITS: Final = "_JMP_SHELL_WAITS"


def shell_waits() -> float:
    """The seconds; 0 outside of such a shell."""
    text = os.environ.get(SHELL_WAITS, "")
    return float(text) if text.isdecimal() else 0.0
