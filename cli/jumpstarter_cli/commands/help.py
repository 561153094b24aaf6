"""``jmp help``: the help of a command, named as it is typed."""

from __future__ import annotations

import click


@click.command
@click.argument("command", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of COMMAND, or of jmp."""
    from jumpstarter_cli.groups import resolve_or_fail

    found = ctx.find_root()
    for name in command:
        if not isinstance(found.command, click.Group):
            raise click.UsageError(f"'{found.command_path}' has no commands of its own.", found)
        _, below, _ = resolve_or_fail(found.command, found, [name])
        assert below is not None
        found = click.Context(below, info_name=below.name, parent=found, **below.context_settings)
    click.echo(found.get_help())
