"""``jmp help``: the help of a command, named as it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands below those that are typed already."""
    from click.shell_completion import CompletionItem

    group: click.Command | None = ctx.find_root().command
    for name in ctx.params.get("command") or ():
        group = group.get_command(ctx, name) if isinstance(group, click.Group) else None
    if not isinstance(group, click.Group):
        return []
    return [CompletionItem(name) for name in group.list_commands(ctx) if name.startswith(incomplete)]


@click.command
@click.argument("command", nargs=-1, shell_complete=_complete)
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
