"""Command groups that know their commands' names and help, and import a command only when it runs.

The start of a command line tool is mostly imports. `LazyGroup` is given one `CommandSource` a command: help
and completion of a group are made from the sources alone, so ``jmp --help`` imports no command at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from .empty import refuse_empty
from .once import refuse_second

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

ALIASES: Mapping[str, Sequence[str]] = {
    "c": ("create", "client", "clients"),
    "conf": ("config",),
    "d": ("delete",),
    "del": ("delete",),
    "e": ("exporter", "exporters"),
    "g": ("get",),
    "i": ("import",),
    "l": ("lease", "leases"),
    "ls": ("list",),
    "mv": ("move",),
    "rm": ("remove", "delete"),
    "sh": ("shell",),
    "s": ("shell",),
    "v": ("version",),
    "ver": ("version",),
    "a": ("admin",),
}
"""Short forms, each with the commands it may stand for; it counts only where exactly one of them exists."""

COUNTABLE = ("client", "cluster", "driver", "exporter", "lease", "policy")
"""Resource names whose singular and plural mean the same command."""


class CommandSource(Protocol):
    """Where a group gets one of its commands from."""

    @property
    def short_help(self) -> str:
        """One line for the group's help."""
        ...

    def load(self, name: str) -> click.Command:
        """Import or build the command; called at most when the command runs or shows its own help."""
        ...


@dataclass(frozen=True)
class Command:
    """A command that lives at ``module:attribute``."""

    target: str
    short_help: str
    may_be_empty: Sequence[str] = ()
    """Names of parameters for which an empty value means something."""

    def load(self, name: str) -> click.Command:
        from importlib import import_module

        module, _, attribute = self.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), self.target
        refuse_empty(command, ("command", *self.may_be_empty))
        refuse_second(command)
        _uniform(command)
        return command


@dataclass(frozen=True)
class Group:
    """A group of further commands, made from a table."""

    short_help: str
    commands: Mapping[str, CommandSource]
    params: Callable[[], Sequence[click.Parameter]] = field(default=lambda: ())
    """Builds the group's own options."""
    of_options: tuple[str, Sequence[str]] = ("", ())
    """The command that is meant where one of these options stands in place of a command's name."""

    def load(self, name: str) -> click.Command:
        return LazyGroup(
            name,
            self.commands,
            help=self.short_help,
            params=list(self.params()),
            of_options=self.of_options,
        )


HELP_OPTIONS: Final = ["-h", "--help"]

#: How a lab is reached: what stands last among the options of a command.
CONNECTION: Final = ("client_config", "client", "ca", "token_file", "data_dir")


def _uniform(command: click.Command) -> None:
    """-h, defaults in the help, and a command's own options before those that say where the lab is."""
    command.context_settings = {
        "help_option_names": HELP_OPTIONS,
        "show_default": True,
        **command.context_settings,
    }
    if any(param.name in ("client_config", "data_dir") for param in command.params):
        administers = any(param.name == "data_dir" for param in command.params)
        last = (*CONNECTION, "endpoint", "namespace") if administers else CONNECTION
        command.params.sort(key=lambda param: param.name in last and isinstance(param, click.Option))


def resolve_name(name: str, known: Sequence[str], aliases: Mapping[str, Sequence[str]]) -> str | None:
    """The command that *name* stands for: itself, its singular or plural, or an unambiguous alias."""
    if name in known:
        return name
    for noun in COUNTABLE:
        forms = (noun, _plural(noun))
        if aliases and name in forms:
            return next((other for other in forms if other in known), None)
    meant = [target for target in aliases.get(name, ()) if target in known]
    return meant[0] if len(meant) == 1 else None


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def resolve_or_fail(
    group: click.Group, ctx: click.Context, args: list[str]
) -> tuple[str | None, click.Command | None, list[str]]:
    """`click.Group.resolve_command`, with the nearest name in the error for a command that does not exist."""
    command = group.get_command(ctx, args[0])
    if command is not None:
        return command.name, command, args[1:]
    if ctx.resilient_parsing:
        return None, None, args[1:]
    if args[0].startswith("-"):
        group.parse_args(ctx, args)
    from jumpstarter.common.suggestions import did_you_mean

    hint = did_you_mean(args[0], group.list_commands(ctx)) or "."
    raise click.UsageError(f"No such command '{args[0]}'{hint}", ctx)


def _is_option(argument: str, options: Sequence[str]) -> bool:
    """Whether *argument* is one of *options*, alone or with its value."""
    return any(
        argument == option or argument.startswith(f"{option}=" if option.startswith("--") else option)
        for option in options
    )


class LazyGroup(click.Group):
    """A click group over `CommandSource` objects: aliases, "did you mean", help on stdout when called bare.

    Args:
        name: the group's name in usage lines.
        sources: the commands, by name.
        aliases: short forms as in `ALIASES`; empty for names that are not ours, as those of drivers.
        sections: headings of the help, each with its commands; without them they are one list.
        of_options: a command, and the options of it that may stand in place of its name.
    """

    def __init__(
        self,
        name: str | None,
        sources: Mapping[str, CommandSource],
        *,
        aliases: Mapping[str, Sequence[str]] = ALIASES,
        sections: Mapping[str, Sequence[str]] | None = None,
        of_options: tuple[str, Sequence[str]] = ("", ()),
        **attrs: Any,
    ) -> None:
        attrs.setdefault("invoke_without_command", True)
        attrs.setdefault("subcommand_metavar", "COMMAND [ARGS]...")
        attrs.setdefault("context_settings", {"help_option_names": HELP_OPTIONS})
        super().__init__(name=name, **attrs)
        refuse_empty(self)
        refuse_second(self)
        self.sources = dict(sources)
        self.aliases = aliases
        self.sections = sections or {}
        self.of_options = of_options

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        command, options = self.of_options
        if args and args[0].startswith("-") and any(_is_option(arg, options) for arg in args):
            args = [command, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.sources)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = resolve_name(cmd_name, list(self.sources), self.aliases)
        if name is None:
            return None
        command = self.sources[name].load(name)
        if command.name != name:
            command.name = name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return resolve_or_fail(self, ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.sources), default=0)
        for title, names in (self.sections or {"Commands": self.list_commands(ctx)}).items():
            if names:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(width), self.sources[name].short_help) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=self.sources[name].short_help)
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]
