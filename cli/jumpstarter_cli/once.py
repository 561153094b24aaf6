"""Options of which one value counts: a second one is refused, where click would drop the first in silence."""

from __future__ import annotations

from typing import Any

import click


class Once(click.Option):
    """An option that may be given once. Use it as *cls* of click.option; its value is as without."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "multiple": True})

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """The variable as it stands: spaces in it separate nothing."""
        value = self.resolve_envvar_value(ctx)
        return None if value is None else (value,)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """The one value, None without one. Raises click.BadOptionUsage."""
        values = super().process_value(ctx, value)
        if values and len(values) > 1:
            raise click.BadOptionUsage(self.name or "", f"{self.opts[0]} is given twice: give it once", ctx)
        return values[0] if values else None
