"""The ``jmp`` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .silence import end_at_once

if TYPE_CHECKING:
    import click


def main() -> int:
    """Entry point of the ``jmp`` script."""
    end_at_once()
    from .ending import end_in_silence

    end_in_silence()
    from .jmp_group import main

    return main()


def __getattr__(name: str) -> click.Group:
    """`jmp`, the group, for programs that run its commands themselves."""
    if name != "jmp":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .jmp_group import make

    return make()
