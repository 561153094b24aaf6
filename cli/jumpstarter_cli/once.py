"""Options of which one value counts: a second one is refused, where click would drop the first in silence."""

from __future__ import annotations

from typing import Any, Final

import click

#: Parameters that choose one board, lease, client, controller or file.
CHOOSING: Final = frozenset(
    [
        "ca",
        "client",
        "client_config",
        "config",
        "data_dir",
        "endpoint",
        "exporter",
        "exporter_config",
        "lease_id",
        "lease_name",
        "name",
        "namespace",
        "out",
        "path",
        "tls_grpc",
        "to_client",
        "token_file",
    ]
)


def refuse_second(command: click.Command) -> None:
    """Let *command* end with wrong usage where one of the options that choose is given twice."""
    make = command.make_parser

    def make_parser(ctx: click.Context) -> Any:
        parser: Any = make(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args)
            if not ctx.resilient_parsing:
                _check(command, order, ctx)
            return values, rest, order

        parser.parse_args = parse_args
        return parser

    command.make_parser = make_parser  # type: ignore[method-assign]


def _check(command: click.Command, given: list[click.Parameter], ctx: click.Context) -> None:
    for param in command.params:
        chooses = isinstance(param, click.Option) and param.name in CHOOSING and not param.multiple
        if chooses and given.count(param) > 1:
            hint = param.get_error_hint(ctx)
            raise click.BadOptionUsage(param.name or "", f"{hint} is given twice: give it once.", ctx)


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
