"""Shells and commands that are connected to an exporter, as quiet as the command that starts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jumpstarter.connection import shell
from jumpstarter.connection.ending import GRACE
from jumpstarter.connection.shell import Surroundings

from . import logs

__all__ = ["Surroundings", "launch"]


def launch(
    surroundings: Surroundings,
    command: Sequence[str] = (),
    *,
    profiles: bool = False,
    end_when: Callable[[Callable[[str], object]], object] | None = None,
    grace: float = GRACE,
) -> int:
    """`jumpstarter.connection.shell.launch`, whose clients are quiet if this command is."""
    variables = {logs.QUIET: "1"} if logs.quiet() else {}
    return shell.launch(
        surroundings, command, profiles=profiles, variables=variables, end_when=end_when, grace=grace
    )
