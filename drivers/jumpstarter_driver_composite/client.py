"""Client of a group of drivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.base import Children, StubDriverClient
from jumpstarter.client.decorators import DriverClickGroup, driver_click_group

__all__ = ["CompositeClient"]


@dataclass(kw_only=True)
class CompositeClient(DriverClient):
    """Gives the clients of the group's drivers as attributes: ``client.power``, ``client.dut.serial``."""

    def __getattr__(self, name: str) -> Any:
        # Looked up in __dict__: while the instance is being made there is no `children` yet.
        children = self.__dict__.get("children") or {}
        if name in children:
            return children[name]
        known = ", ".join(children) or "none"
        raise AttributeError(
            f"{type(self).__name__} has no driver {name!r}; its drivers: {known}", name=name, obj=self
        )

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.children if name.isidentifier())]

    def close(self) -> None:
        """Close the clients of the group's drivers that were used, then this one."""
        for child in self.children.built() if isinstance(self.children, Children) else self.children.values():
            child.close()
        super().close()

    def cli(self) -> click.Group:
        """The ``j`` commands: a subcommand for each driver of the group that has commands."""
        children = self.children

        class ChildrenGroup(DriverClickGroup):
            # A child's commands are made when asked for: `j power on` needs the client module of power alone.

            def list_commands(self, ctx: click.Context) -> list[str]:
                return sorted({*super().list_commands(ctx), *children})

            def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
                own = super().get_command(ctx, cmd_name)
                if own is not None or cmd_name not in children:
                    return own
                return child_command(children[cmd_name])

        @driver_click_group(self, cls=ChildrenGroup)
        def base() -> None:
            """Generic composite device"""

        return base


def child_command(client: Any) -> click.Command | None:
    """The click command of *client*; None when it has no commands."""
    if isinstance(client, StubDriverClient):
        return _unusable_command(client)
    if not hasattr(client, "cli"):
        return None
    command: click.Command | None = client.cli()
    return command


def _unusable_command(client: StubDriverClient) -> click.Command:
    """Stands, in no list, for the commands of a driver whose client class is missing or not allowed."""

    @click.command(
        client.name, hidden=True, add_help_option=False, context_settings={"ignore_unknown_options": True}
    )
    @click.argument("args", nargs=-1, type=click.UNPROCESSED)
    def unusable(args: tuple[str, ...]) -> None:
        raise client.error

    return unusable
