"""Shell: one keyword for each command that the exporter's configuration names.

Commands that switch a board's supply do to its consoles what a power driver does, and fail when their tool fails.
"""

from __future__ import annotations

import inspect
from typing import Any

from jumpstarter_driver_shell.supply import checked, switches

from JumpstarterLibrary.reflection import Argument, Kind, Signature

from .base import Context, Offer
from .power import PowerAdapter


class ShellAdapter(PowerAdapter):
    """Asks the exporter for the configured commands; the client's class does not know them.

    A driver whose commands include ``on`` and ``off`` (or ``power_on`` and ``power_off``) switches a supply by these, ``cycle``
    and ``rescue``.
    """

    def __init__(self, client: Any, context: Context) -> None:
        super().__init__(client, context)
        self._verbs: dict[str, str] = {}

    def _offers(self) -> dict[str, Offer]:
        offers = super()._offers()
        names = list(self._client.call("get_methods"))
        self._verbs = switches(names)
        for name in names:
            command = getattr(self._client, name)
            offers[name] = Offer(_signature(), checked(name, command) if name in self._verbs else command)
        return offers

    def _before(self, method: str) -> None:
        super()._before(self._verbs.get(method, ""))

    def _after(self, method: str) -> None:
        super()._after(self._verbs.get(method, ""))


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
