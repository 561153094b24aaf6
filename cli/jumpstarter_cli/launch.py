"""Shells and commands that are connected to an exporter, as quiet as the command that starts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from jumpstarter.common.printable import printable_line
from jumpstarter.connection import shell
from jumpstarter.connection.ending import GRACE
from jumpstarter.connection.shell import Surroundings

from . import logs

__all__ = ["Surroundings", "labels_line", "launch", "note_start"]


def launch(
    surroundings: Surroundings,
    command: Sequence[str] = (),
    *,
    profiles: bool = False,
    end_when: Callable[[Callable[[str], object]], object] | None = None,
    grace: float = GRACE,
) -> int:
    """`jumpstarter.connection.shell.launch`, whose clients are quiet if this command is; a shell completes jmp and j."""
    from .commands.completion import script

    variables = {logs.QUIET: "1"} if logs.quiet() else {}
    return shell.launch(
        surroundings,
        command,
        profiles=profiles,
        variables=variables,
        end_when=end_when,
        grace=grace,
        completion=script,
    )


def note_start(board: str, labels: Mapping[str, str] | None) -> None:
    """Tell whoever is about to work in a shell which *board* it is, and that there is time until the shell is left."""
    logs.note(f"Using {board}, until you leave the shell\n{labels_line(labels)}")


def labels_line(labels: Mapping[str, str] | None) -> str:
    """What a shell says at its start about the board's labels, where they are known, and of what can be done."""
    hint = "'j' lists what the board can do, 'exit' leaves."
    if labels is None:
        return hint
    told = printable_line(",".join(f"{k}={v}" for k, v in sorted(labels.items())))
    return f"Labels: {told or 'none'}. {hint}"
