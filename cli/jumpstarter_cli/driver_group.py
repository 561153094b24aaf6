"""The group ``j``: the commands of the drivers of the surrounding shell's exporter.

Its subcommands are known once the exporter has told which drivers it has, so the group connects when it is
first asked for one. Of the client classes only those on the way to the command are imported.
"""

from __future__ import annotations

import os
from typing import Any

import click

from .deferred import deferred
from .entry import run
from .groups import HELP_OPTIONS, resolve_or_fail

OUTSIDE_HELP = """\
Runs the commands of an exporter's drivers.

\b
It needs an exporter, which it finds
  - in a shell:       jmp shell --exporter NAME, then j
  - for one command:  jmp shell --exporter NAME -- j power on
  - in background:    jmp local start --config=FILE, then j

Without --exporter, jmp shell offers a simulated board to try things with. In a shell, j lists the drivers of
the exporter.
"""


class DriverGroup(click.Group):
    """The root of ``j``: looks like the command group of the exporter's root driver."""

    _commands: click.Group | None = None

    def connected(self, ctx: click.Context) -> click.Group:
        """The command group of the root driver; the connection closes with the root context."""
        if self._commands is None:
            from jumpstarter.utils.env import env

            self._commands = _commands_of(ctx.find_root().with_resource(env()))
        return self._commands

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            self.connected(ctx)  # without an exporter that is an error; only --help explains
            click.echo(ctx.get_help())
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self.connected(ctx).list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.connected(ctx).get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        _, command, rest = resolve_or_fail(self, ctx, args)
        # Drivers call their group whatever they like; to the user it is the name in the exporter config.
        return args[0] if command else None, command, rest

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.help = self.connected(ctx).help if _has_exporter() else OUTSIDE_HELP
        super().format_help_text(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if _has_exporter():
            super().format_commands(ctx, formatter)


def _has_exporter() -> bool:
    from jumpstarter.common.exceptions import EnvironmentVariableNotSetError
    from jumpstarter.utils.env import exporter_host

    try:
        exporter_host()
    except EnvironmentVariableNotSetError:
        return False
    return True


def _commands_of(client: Any) -> click.Group:
    """The root driver's commands as a group, also where it has one command or none."""
    from jumpstarter.client.base import StubDriverClient

    if isinstance(client, StubDriverClient):
        raise client.error
    command = client.cli()
    if isinstance(command, click.Group):
        return command
    group = click.Group(help="An exporter of one driver")
    if command is not None:
        group.add_command(command)
    return group


def _configure() -> None:
    from .logs import QUIET, configure, quiet

    configure("INFO")
    os.environ[QUIET] = "1" if quiet() else "0"  # transfers look there


def make() -> click.Group:
    """The ``j`` command group."""
    from .logs import level_option, quiet_option

    return DriverGroup(
        "j",
        callback=_configure,
        context_settings={"help_option_names": HELP_OPTIONS},
        invoke_without_command=True,
        subcommand_metavar="COMMAND [ARGS]...",
        params=[level_option(), quiet_option()],
    )


def main() -> int:
    """Run ``j``, or complete it."""
    import jumpstarter  # noqa: F401 - has gRPC write no log of its own, which is decided when it is loaded

    with deferred():
        import grpc  # noqa: F401 - in the order in which its parts can be left for later
    if "_J_COMPLETE" in os.environ:
        return _complete()
    return run(make, "j")


def _complete() -> int:
    """Answer a shell that completes a command line: with nothing, if the exporter cannot be asked."""
    try:
        make().main(prog_name="j", standalone_mode=False)
    except Exception:  # noqa: BLE001 - whatever it is, the line that the user types is no place for it
        return 0
    return 0
