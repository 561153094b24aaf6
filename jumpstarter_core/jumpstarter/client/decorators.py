"""click groups and commands for driver clients, with the help texts of the exporter file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


class DriverClickGroup(click.Group):
    """A group whose commands take their help from the driver's ``methods_description`` where it has one."""

    def __init__(self, *args: Any, client: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.client = client

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        texts = getattr(self.client, "methods_description", {}) or {}
        if (text := texts.get(name or cmd.name or "")) is not None:
            cmd.help, cmd.short_help = text, None
        super().add_command(cmd, name)


def driver_click_group(client: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], DriverClickGroup]:
    """Decorator: a click group for the commands of *client*; its ``description`` replaces the function's docstring."""
    options: dict[str, Any] = {"cls": DriverClickGroup, **kwargs, "client": client, **_help(client, kwargs)}
    group: Callable[[Callable[..., Any]], DriverClickGroup] = click.group(**options)
    return group


def driver_click_command(client: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Decorator: a click command for *client*; its ``description`` replaces the function's docstring."""
    command: Callable[[Callable[..., Any]], click.Command] = click.command(
        **{**kwargs, **_help(client, kwargs)}
    )
    return command


def _help(client: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    description = getattr(client, "description", None)
    return {"help": description} if description else {key: kwargs[key] for key in ("help",) if key in kwargs}
