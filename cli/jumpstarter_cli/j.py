"""The ``j`` command."""

from __future__ import annotations

from .ending import end_in_silence


def main() -> int:
    """Entry point of the ``j`` script."""
    end_in_silence()
    from .driver_group import main

    return main()
