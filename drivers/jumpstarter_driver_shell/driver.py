"""A driver whose methods are commands of the exporter's shell."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.inheritance import inheritable
from jumpstarter.driver import Driver, export

from .environment import check_environment
from .methods import ShellMethod, check_timeout, parse_environment, parse_methods
from .process import ShellProcess

__all__ = ["Shell"]

_TAIL = 200  # characters of output shown when a method times out


@dataclass(kw_only=True)
class Shell(Driver):
    """Runs configured commands; clients may pass positional arguments and environment variables.

    `methods` maps a name to a command, or to ``{command, timeout, description, env}``. A command runs as
    ``*shell command name args...``, so that ``$1`` is the first argument. `timeout` is in seconds; `cwd` is
    the directory it runs in. `env` lists the variables that callers may set, with ``*`` in patterns; without it those count
    that a method's command mentions.
    """

    methods: dict[str, str | dict[str, str | float | list[str]]]
    shell: list[str] = field(default_factory=lambda: ["bash", "-c"])
    timeout: float = 300
    cwd: str | None = None
    env: list[str] | None = None
    _parsed: dict[str, ShellMethod] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = None if self.env is None else parse_environment(self.env, "Shell: env")
        self._parsed = parse_methods(self.methods, check_timeout(self.timeout, "Shell: timeout"), allowed)
        self._check_shell()
        for name, method in self._parsed.items():
            if method.description:
                self.methods_description.setdefault(name, method.description)

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_shell.client.ShellClient"

    def _check_shell(self) -> None:
        words = self.shell
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise ConfigurationError(f"Shell: shell is {words!r}, expected a list such as ['bash', '-c']")
        if shutil.which(words[0]) is None:
            raise ConfigurationError(
                f"Shell: shell is {words[0]!r}, which is not an executable on this machine"
            )

    @export
    def get_methods(self) -> list[str]:
        """The names of the configured methods, in the order of the configuration."""
        return list(self._parsed)

    @export
    async def call_method(
        self, method: str, env: Any, *args: Any
    ) -> AsyncGenerator[tuple[str, str, int | None], None]:
        """Run *method* with *args* and the variables *env*; yield ``(stdout, stderr, return code or None)``.

        Raises `ValueError` for an unknown method or a variable that its callers may not set, `TimeoutError` after the time
        limit. The command and all it started are killed on a time out, and when the client cancels the
        call.
        """
        found = self._find(method)
        environment = {**inheritable(os.environ), **check_environment(env or {}, method, found)}
        if self.cwd is not None and not Path(self.cwd).is_dir():
            raise FileNotFoundError(f"Shell: cwd is {self.cwd!r}, which is not a directory on the exporter")
        self.logger.info("running %s", method)
        tail = ""
        command = [*self.shell, found.command, method, *(str(arg) for arg in args)]
        run = ShellProcess().run(command, cwd=self.cwd, env=environment, timeout=found.timeout)
        try:
            async for stdout, stderr, returncode in run:
                tail = (tail + stdout + stderr)[-_TAIL:]
                yield stdout, stderr, returncode
                if returncode:
                    self.logger.info("%s ended with return code %s", method, returncode)
        except TimeoutError as error:
            raise TimeoutError(
                f"shell method {method!r} was killed after {found.timeout} s, its limit; it said: {tail!r}"
            ) from error
        finally:
            await run.aclose()

    def _find(self, method: str) -> ShellMethod:
        try:
            return self._parsed[method]
        except KeyError:
            raise ValueError(
                f"no shell method {method!r}; there are: {', '.join(self._parsed) or 'none'}"
            ) from None
