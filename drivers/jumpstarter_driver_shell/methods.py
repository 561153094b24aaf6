"""The configured methods of a shell driver. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.suggestions import did_you_mean

__all__ = ["ShellMethod", "check_timeout", "parse_environment", "parse_methods"]

_KEYS = ("command", "timeout", "description", "env")

_VARIABLES = re.compile(r"[A-Za-z_*][A-Za-z0-9_*]*\Z")


@dataclass(frozen=True)
class ShellMethod:
    """One method: the text given to the shell, its time limit in seconds, its help text.

    `env` has the variables that callers may set; None: those that the command mentions.
    """

    command: str
    timeout: float
    description: str | None = None
    env: tuple[str, ...] | None = None


def parse_methods(
    methods: Any, default_timeout: float, default_env: tuple[str, ...] | None = None
) -> dict[str, ShellMethod]:
    """The methods of the configuration value *methods*, in its order; the defaults are for keys that a method lacks.

    Raises `ConfigurationError` with the key path of the first value that is not valid.
    """
    if not isinstance(methods, Mapping):
        raise ConfigurationError(
            f"Shell: methods is {methods!r}, expected a mapping of method name to command"
        )
    return {
        _method_name(name): _parse(name, value, default_timeout, default_env)
        for name, value in methods.items()
    }


def _method_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(
            f"Shell: methods has the name {name!r}, expected a text; YAML reads on, off, yes and no as "
            "booleans, so put the name in quotes"
        )
    return name


def _parse(name: str, value: Any, default_timeout: float, default_env: tuple[str, ...] | None) -> ShellMethod:
    where = f"Shell: methods.{name}"
    if isinstance(value, str):
        return ShellMethod(command=value, timeout=default_timeout, env=default_env)
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"{where} is {value!r}, expected a command or a mapping with {_any_of(_KEYS)}"
        )
    for key in value:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS)
            raise ConfigurationError(f"{where} has the unknown key {key!r}, expected {_any_of(_KEYS)}{hint}")
    command = value.get("command")
    if not isinstance(command, str):
        raise ConfigurationError(f"{where}.command is {command!r}, expected the command as text")
    description = value.get("description")
    if description is not None and not isinstance(description, str):
        raise ConfigurationError(f"{where}.description is {description!r}, expected a text")
    timeout = check_timeout(value.get("timeout", default_timeout), f"{where}.timeout")
    env = parse_environment(value["env"], f"{where}.env") if "env" in value else default_env
    return ShellMethod(command=command, timeout=timeout, description=description, env=env)


def parse_environment(value: Any, where: str) -> tuple[str, ...]:
    """*value* as names and patterns of variables; raises `ConfigurationError` naming *where* unless it is a list of them."""
    if not isinstance(value, list) or not all(
        isinstance(one, str) and _VARIABLES.match(one) for one in value
    ):
        raise ConfigurationError(
            f"{where} is {value!r}, expected a list of variables that callers may set, such as [FIRMWARE, 'DUT_*']"
        )
    return tuple(value)


def check_timeout(value: Any, where: str) -> float:
    """*value* as seconds; raises `ConfigurationError` naming *where* unless it is a number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ConfigurationError(f"{where} is {value!r}, expected a number of seconds above 0")
    return value


def _any_of(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"
