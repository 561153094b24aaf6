"""Shell: one keyword for each command that the exporter's configuration names."""

from __future__ import annotations

import inspect
from typing import Any

from JumpstarterLibrary.reflection import Argument, Kind, Signature

from .base import Adapter, Offer


class ShellAdapter(Adapter):
    """Asks the exporter for the configured commands; the client's class does not know them."""

    def _offers(self) -> dict[str, Offer]:
        offers = super()._offers()
        for name in self._client.call("get_methods"):
            offers[name] = Offer(_signature(), getattr(self._client, name))
        return offers


def _signature() -> Signature:
    def command(*args: str, **env: str) -> tuple[str, str, int]:
        """Run the command on the exporter.

        Args:
            args: Arguments of the command, its ``$1``, ``$2`` and so on.
            env: Environment variables of the command.

        Returns:
            What it wrote to standard output and to standard error, and its exit status.
        """
        raise NotImplementedError("stands for its signature and documentation")

    arguments = tuple(
        Argument(name, getattr(inspect.Parameter, kind), Any, str)
        for name, kind in (("args", "VAR_POSITIONAL"), ("env", "VAR_KEYWORD"))
    )
    return Signature(command, Kind.CALL, arguments, tuple[str, str, int])
