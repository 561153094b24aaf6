"""The configured methods of a shell driver, and the environment that callers may give. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.suggestions import did_you_mean

__all__ = ["ShellMethod", "check_environment", "parse_methods"]

_KEYS = ("command", "timeout", "description")

# Each of these makes the shell, the loader or Python run code that is not the configured command, or
# points the command at another user's files.
_FORBIDDEN_NAMES = frozenset(
    {
        "BASH_ENV",
        "BASHOPTS",
        "HOME",
        "KUBECONFIG",
        "PATH",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "SHELLOPTS",
    }
)
_FORBIDDEN_PREFIXES = ("BASH_FUNC_", "DYLD_", "LD_")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class ShellMethod:
    """One method: the text given to the shell, its time limit in seconds, and its help text."""

    command: str
    timeout: float
    description: str | None = None


def parse_methods(methods: Any, default_timeout: float) -> dict[str, ShellMethod]:
    """The methods of the configuration value *methods*, in its order.

    Raises `ConfigurationError` with the key path of the first value that is not valid.
    """
    if not isinstance(methods, Mapping):
        raise ConfigurationError(
            f"Shell: methods is {methods!r}, expected a mapping of method name to command"
        )
    return {_method_name(name): _parse(name, value, default_timeout) for name, value in methods.items()}


def _method_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(
            f"Shell: methods has the name {name!r}, expected a text; YAML reads on, off, yes and no as "
            "booleans, so put the name in quotes"
        )
    return name


def _parse(name: str, value: Any, default_timeout: float) -> ShellMethod:
    where = f"Shell: methods.{name}"
    if isinstance(value, str):
        return ShellMethod(command=value, timeout=default_timeout)
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
    return ShellMethod(command=command, timeout=timeout, description=description)


def check_timeout(value: Any, where: str) -> float:
    """*value* as seconds; raises `ConfigurationError` naming *where* unless it is a number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ConfigurationError(f"{where} is {value!r}, expected a number of seconds above 0")
    return value


def _any_of(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


def check_environment(env: Mapping[str, Any]) -> dict[str, str]:
    """*env* with its values as text.

    Raises `ValueError` for a name that no variable can have, or that would change which code runs.
    """
    for name in env:
        if not _ENVIRONMENT_NAME.match(name):
            raise ValueError(f"{name!r} is not the name of an environment variable")
        if name in _FORBIDDEN_NAMES or name.startswith(_FORBIDDEN_PREFIXES):
            raise ValueError(
                f"the environment variable {name} may not be set by a client; set it on the exporter"
            )
    return {name: str(value) for name, value in env.items()}
