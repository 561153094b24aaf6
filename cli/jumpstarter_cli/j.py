"""The ``j`` command."""

from __future__ import annotations

from .silence import end_at_once


def main() -> int:
    """Entry point of the ``j`` script."""
    end_at_once()
    from .ending import end_in_silence

    end_in_silence()
    from .driver_group import main

    return main()
