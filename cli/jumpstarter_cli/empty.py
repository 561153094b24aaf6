"""An option or argument that is given and empty is wrong usage.

What is empty comes from a variable of the caller's that was not set, or from a command that failed. What it was to choose
must not be left to chance.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import click
from click.core import ParameterSource


def refuse_empty(command: click.Command, allowed: Collection[str] = ()) -> None:
    """Let *command* end with wrong usage for what is empty, but for the parameters *allowed*."""
    for param in command.params:
        if param.name not in allowed:
            _guard(param)


def _guard(param: click.Parameter) -> None:
    process = param.process_value

    def checked(ctx: click.Context, value: Any) -> Any:
        if _typed(ctx, param) and _is_empty(value):
            raise click.BadParameter("it is empty: give a value, or leave it out", ctx, param)
        return process(ctx, value)

    param.process_value = checked  # type: ignore[method-assign]


def _typed(ctx: click.Context, param: click.Parameter) -> bool:
    source = ctx.get_parameter_source(param.name or "")
    return source is ParameterSource.COMMANDLINE and not ctx.resilient_parsing


def _is_empty(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_is_empty(each) for each in value)
    return isinstance(value, str) and not value.strip()
