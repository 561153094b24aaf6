"""Commands of a shell driver that switch a board's supply."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from .client import ShellClient

_SWITCH = re.compile(r"(?:power[_-]?)?(on|off|cycle|rescue)", re.IGNORECASE)

#: Characters of a failed command's output in its message.
_TAIL = 500


def switches(names: Iterable[str]) -> dict[str, str]:
    """What those of the commands *names* do that switch a supply: on, off, cycle or rescue. None without both on and off."""
    verbs = {name: found[1].lower() for name in names if (found := _SWITCH.fullmatch(name))}
    return verbs if {"on", "off"} <= set(verbs.values()) else {}


def checked(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """*command*, the method *name* of a shell client, that raises DriverError when its tool fails."""
    from jumpstarter.client.core import DriverError

    def switch(*args: Any, **env: Any) -> Any:
        stdout, stderr, code = command(*args, **env)
        if code != 0:
            said = " ".join((stderr.strip() or stdout.strip()).split())[-_TAIL:] or "nothing"
            raise DriverError(f"shell method {name!r} ended with return code {code}; it said: {said}")
        return stdout, stderr, code

    return switch


def switch_of(power: Any, verb: str) -> Callable[[], Any]:
    """What switches *power*, the client of a power or shell driver, *verb*: on or off. It raises when that fails."""
    if not isinstance(power, ShellClient):
        return getattr(power, verb)  # type: ignore[no-any-return]
    for name, does in switches(power._method_names).items():
        if does == verb:
            return checked(name, getattr(power, name))
    return getattr(power, verb)  # type: ignore[no-any-return]
