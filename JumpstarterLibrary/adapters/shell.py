"""Shell: one keyword for each command that the exporter's configuration names.

Commands that switch a board's supply do to its consoles what a power driver does, and fail when their tool fails.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from jumpstarter.client.core import DriverError

from JumpstarterLibrary.reflection import Argument, Kind, Signature

from .base import Context, Offer
from .power import PowerAdapter

_SWITCH = re.compile(r"(?:power[_-]?)?(on|off|cycle|rescue)", re.IGNORECASE)

#: Characters of a failed command's output in its message.
_TAIL = 500


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
            offers[name] = Offer(_signature(), _checked(name, command) if name in self._verbs else command)
        return offers

    def _before(self, method: str) -> None:
        super()._before(self._verbs.get(method, ""))

    def _after(self, method: str) -> None:
        super()._after(self._verbs.get(method, ""))


def switches(names: Iterable[str]) -> dict[str, str]:
    """What those of the commands *names* do that switch a supply: on, off, cycle or rescue. None without both on and off."""
    verbs = {name: found[1].lower() for name in names if (found := _SWITCH.fullmatch(name))}
    return verbs if {"on", "off"} <= set(verbs.values()) else {}


def _checked(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    def switch(*args: Any, **env: Any) -> Any:
        stdout, stderr, code = command(*args, **env)
        if code != 0:
            said = " ".join((stderr.strip() or stdout.strip()).split())[-_TAIL:] or "nothing"
            raise DriverError(f"shell method {name!r} ended with return code {code}; it said: {said}")
        return stdout, stderr, code

    return switch


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
