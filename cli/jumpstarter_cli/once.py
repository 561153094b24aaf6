"""Options of which one value counts: a second one is refused, where click would drop the first in silence."""

from __future__ import annotations

from typing import Any, Final

import click

#: Parameters that choose one board, lease, client, controller or file, or are a secret: the last of two would win in silence.
ONCE: Final = frozenset(
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
        "passphrase",
        "path",
        "tls_grpc",
        "to_client",
        "token_file",
    ]
)


def refuse_second(command: click.Command) -> None:
    """Let *command* end with wrong usage where one of the options of `ONCE` is given twice."""
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
        single = isinstance(param, click.Option) and param.name in ONCE and not param.multiple
        if single and given.count(param) > 1:
            hint = param.get_error_hint(ctx)
            raise click.BadOptionUsage(param.name or "", f"{hint} is given twice: give it once.", ctx)
