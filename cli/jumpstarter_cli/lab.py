"""What the commands of a lab's clients have in common: whose configuration, which labels, how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .lab_names import complete_selector

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from jumpstarter.client.lab import Lab
    from jumpstarter.config.client import ClientConfigV1Alpha1

F = TypeVar("F", bound=Callable[..., Any])

SELECTOR_HELP = (
    "Selector (label query), such as key1=value1,key2!=value2 or 'key in (a,b)'; all of it must be met."
)
DURATION_HELP = "How long, such as 90, 30m, 3h30m, 1d3h40m, 01:30:00 or PT1H30M."


class DurationType(click.ParamType):  # type: ignore[type-arg]
    """A duration in any form of `jumpstarter.common.durations`, as a timedelta; with *positive* more than 0s."""

    name = "duration"

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from jumpstarter.common.durations import parse_duration
        from jumpstarter.common.exceptions import ArgumentError

        try:
            duration = parse_duration(value)
        except ArgumentError as error:
            self.fail(str(error), param, ctx)
        if self._positive and not duration:
            self.fail(f"'{value}' is no time at all, expected more than 0s", param, ctx)
        return duration


class MomentType(click.ParamType):  # type: ignore[type-arg]
    """A moment in ISO 8601; local time where it names no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            self.fail(
                f"'{value}' is not a time in ISO 8601, such as 2030-01-31T14:30 or 2030-01-31T13:30Z",
                param,
                ctx,
            )


def duration_option(*names: str, positive: bool = False, **attrs: Any) -> Callable[[F], F]:
    """An option for a duration, which with *positive* is more than 0s."""
    attrs.setdefault("help", DURATION_HELP)
    attrs.setdefault("metavar", "DURATION")
    return click.option(*names, type=DurationType(positive=positive), **attrs)


def client_options(command: F) -> F:
    """The options ``--client`` and ``--client-config``."""
    command = click.option(
        "--client", metavar="NAME", help="Alias of client config", shell_complete=complete_client
    )(command)
    return click.option("--client-config", metavar="FILE", type=click.Path(), help="Path to client config")(
        command
    )


def complete_client(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shell completion for the alias of a client config."""
    from click.shell_completion import CompletionItem
    from jumpstarter.config.files import CLIENTS

    return [CompletionItem(alias) for alias in CLIENTS.aliases() if alias.startswith(incomplete)]


def selector_option(command: F) -> F:
    """The option ``-l/--selector``: given several times, all of them must be met."""
    return click.option(
        "-l",
        "--selector",
        multiple=True,
        metavar="SELECTOR",
        help=SELECTOR_HELP,
        callback=_join,
        shell_complete=complete_selector,
    )(command)


def _join(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str:
    return parsed_selector(ctx, param, ",".join(value))


def parsed_selector(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """*value*, if it is a selector. Raises click.BadParameter."""
    from jumpstarter.common.exceptions import ConfigurationError
    from jumpstarter.common.selectors import Selector

    try:
        Selector.parse(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    return value


def key_values(option: str, values: tuple[str, ...]) -> dict[str, str]:
    """``key=value`` options as a dictionary. Raises click.BadParameter for anything else, and for a key with two values."""
    pairs: dict[str, str] = {}
    for text in values:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise click.BadParameter(f"'{text}' is not KEY=VALUE", param_hint=f"'{option}'")
        if pairs.get(key, value) != value:
            raise click.BadParameter(
                f"'{key}' is given twice, with '{pairs[key]}' and '{value}'", param_hint=f"'{option}'"
            )
        pairs[key] = value
    return pairs


def check_address(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """*value* if it is a controller's address. Raises click.BadParameter for anything else but nothing."""
    from jumpstarter.common.addresses import address_problem

    if value and (problem := address_problem(value)):
        raise click.BadParameter(
            f"'{value}': {problem}; expected HOST:PORT, such as lab.example.com:8082", ctx, param
        )
    return value


@contextmanager
def lab_of(client: str | None, client_config: str | None) -> Iterator[tuple[Lab, ClientConfigV1Alpha1]]:
    """The controller of the client configuration that the options name, and the configuration."""
    from jumpstarter.config.client import resolve_client_config
    from jumpstarter.connection.controller import controller, token_notice

    config = resolve_client_config(client, client_config)
    with controller(config) as lab:
        if notice := token_notice(config):
            click.echo(f"Warning: {notice}", err=True)
        yield lab, config
