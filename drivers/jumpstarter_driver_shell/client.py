"""Client of the shell driver: one method, and one ``j`` command, for each configured method."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import DriverClickGroup, driver_click_group

__all__ = ["ShellClient"]

ShellResult = tuple[str, str, int]


@dataclass(kw_only=True)
class ShellClient(DriverClient):
    """Has a method for every configured command; each returns ``(stdout, stderr, return_code)``.

    Positional arguments become ``$1``, ``$2``, ...; keyword arguments become environment variables.
    """

    @cached_property
    def _method_names(self) -> list[str]:
        return list(self.call("get_methods"))

    def __getattr__(self, name: str) -> Callable[..., ShellResult]:
        # Names with an underscore are Python's own, or ours before __init__ has run.
        if name.startswith("_") or name not in self._method_names:
            raise AttributeError(f"{type(self).__name__} has no method {name!r}")
        return self._make_method(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._method_names]

    def _make_method(self, name: str) -> Callable[..., ShellResult]:
        def method(*args: Any, **env: Any) -> ShellResult:
            stdout, stderr, returncode = [], [], None
            for out, err, code in self._run(name, env, args):
                stdout.append(out)
                stderr.append(err)
                returncode = code
            return "".join(stdout), "".join(stderr), _checked_returncode(name, returncode)

        method.__name__ = method.__qualname__ = name
        method.__doc__ = (
            f"{(self.methods_description or {}).get(name, f'Run the shell method {name}.')}\n\n"
            "Returns ``(stdout, stderr, return_code)``. Arguments become $1, $2, ...; keyword arguments "
            "become environment variables. Raises `DriverError` when the method's time limit is over."
        )
        return method

    def _run(
        self, name: str, env: dict[str, Any], args: tuple[Any, ...]
    ) -> Generator[tuple[str, str, int | None], None, None]:
        texts = [str(arg) for arg in args]
        for out, err, code in self.streamingcall(
            "call_method", name, {k: str(v) for k, v in env.items()}, *texts
        ):
            yield out or "", err or "", None if code is None else int(code)

    def cli(self) -> click.Group:
        """The ``j`` commands: one for each configured method, built when asked for."""
        client = self

        class ShellGroup(DriverClickGroup):
            def list_commands(self, ctx: click.Context) -> list[str]:
                return list(client._method_names)

            def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
                return client._command(cmd_name) if cmd_name in client._method_names else None

        @driver_click_group(self, cls=ShellGroup)
        def base() -> None:
            """Shell commands of the exporter"""

        return base

    def _command(self, name: str) -> click.Command:
        # Options end at the first argument: what follows belongs to the method, dashes included.
        @click.command(
            name,
            help=(self.methods_description or {}).get(name) or f"Run {name}",
            context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
        )
        @click.option(
            "-e",
            "--env",
            "env",
            multiple=True,
            metavar="NAME=VALUE",
            callback=_parse_env,
            help="Environment variable.",
        )
        @click.argument("args", nargs=-1, type=click.UNPROCESSED)
        @click.pass_context
        def command(ctx: click.Context, env: dict[str, str], args: tuple[str, ...]) -> None:
            returncode = None
            for out, err, code in self._run(name, env, args):
                for text, stream in ((out, sys.stdout), (err, sys.stderr)):
                    if text:
                        click.echo(text, nl=False, file=stream)
                returncode = code
            status = _checked_returncode(name, returncode)
            # As shells do for a command that a signal ended.
            ctx.exit(status if status >= 0 else 128 - status)

        return command


def _checked_returncode(name: str, returncode: int | None) -> int:
    if returncode is None:
        from jumpstarter.client.core import DriverError

        raise DriverError(f"shell method {name!r}: the exporter ended the stream without a return code")
    return returncode


def _parse_env(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    env = {}
    for value in values:
        name, separator, text = value.partition("=")
        if not name or not separator:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE")
        env[name] = text
    return env
