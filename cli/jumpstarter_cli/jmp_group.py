"""The group ``jmp``."""

from __future__ import annotations

import click

from .entry import run
from .groups import LazyGroup
from .table import EPILOG, JMP, SECTIONS


def make() -> click.Group:
    """The ``jmp`` command group."""
    from .logs import configure, level_option, quiet_option

    return LazyGroup(
        "jmp",
        JMP,
        help="The Jumpstarter CLI",
        epilog=EPILOG,
        sections=SECTIONS,
        callback=lambda: configure(),
        params=[
            level_option(),
            quiet_option(),
            click.Option(
                ["--endpoint"],
                metavar="HOST:PORT",
                expose_value=False,
                callback=_use_endpoint,
                help="The controller to use, instead of the configuration's.",
            ),
            click.Option(
                ["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_version,
                help="Show the version and exit.",
            ),
        ],
    )


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from .commands.version import version_line

        click.echo(version_line())
        ctx.exit()


def _use_endpoint(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Options count more than the environment, and the environment more than files: so it becomes the environment's."""
    if value and not ctx.resilient_parsing:
        import os

        from .lab import check_address

        os.environ["JMP_ENDPOINT"] = check_address(ctx, param, value) or ""


def main() -> int:
    """Run ``jmp``."""
    return run(make, "jmp")
