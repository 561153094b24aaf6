"""The client of U-Boot's console."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
from jumpstarter_driver_composite.client import CompositeClient

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .common import DhcpInfo
    from .console import Prompt
    from .line import Line

# Seconds of silence that end what a line had kept from before, and how long that may go on.
_QUIET, _QUIET_TIMEOUT = 0.1, 5.0

__all__ = ["UbootConsoleClient"]


@dataclass(kw_only=True)
class UbootConsoleClient(CompositeClient):
    """U-Boot at its prompt.

    `reboot_to_console` brings it there; the other methods work within that context and raise `UbootError`
    outside. Timeouts are in seconds.
    """

    _console: Prompt | None = field(default=None, init=False, repr=False)
    _held: Line | None = field(default=None, init=False, repr=False)
    _said: bytes = field(default=b"", init=False, repr=False)

    @property
    def prompt(self) -> str:
        """The prompt to expect, from the exporter's configuration."""
        return str(self.call("get_prompt"))

    @property
    def autoboot_stop(self) -> str:
        """What stops the countdown, from the exporter's configuration."""
        from jumpstarter.client.core import DriverMethodNotImplemented

        from .common import DEFAULT_STOP

        try:
            return str(self.call("get_autoboot_stop"))
        except DriverMethodNotImplemented:
            return DEFAULT_STOP

    @contextmanager
    def reboot_to_console(
        self, *, debug: bool = False, retries: int = 100, stop: str | None = None
    ) -> Iterator[None]:
        """Power cycle the board, stop its countdown and hold U-Boot at its prompt while the context lasts.

        A serial port that comes with the board's power is waited for.

        Args:
            debug: show the console on standard error
            retries: how many times what stops the countdown is typed, each followed by half a second of waiting for the prompt
            stop: what stops the countdown: a key (`ctrl-c`, `esc`, `space`, `enter`, `tab`), or the word or password that
                U-Boot asks for; by default what the exporter's configuration says

        The board stays on at the end. Raises `UbootTimeout` when no prompt comes, DriverError when the supply cannot be
        switched; a command of a shell driver that ends with another exit code than 0 cannot.
        """
        from jumpstarter.common.interrupts import aside

        from .common import typed

        key = typed(stop or self.autoboot_stop)
        with self._line(debug) as line:
            self.logger.info("Power cycling the board and waiting for the U-Boot prompt %r", self.prompt)
            # Off before the line is opened, on after: what comes from the line is of this boot alone.
            self._switch("off")
            _open_if_there(line)
            # A tool may still be busy when the countdown has begun: the key is typed meanwhile.
            starting = aside(lambda: self._switch("on"), "power on")
            with self._holding(line, retries, key, starting):
                yield

    @contextmanager
    def take_console(self, *, debug: bool = False, retries: int = 10) -> Iterator[None]:
        """Hold U-Boot at the prompt where it is already, while the context lasts; the board is not power cycled.

        *debug* shows the console on standard error. *retries* is how many times Ctrl-C is typed, each followed by half a
        second of waiting for the prompt. Raises `UbootTimeout` when no prompt comes.
        """
        from .console import INTERRUPT

        with self._line(debug) as line, self._holding(line, retries, INTERRUPT):
            yield

    def take_said(self) -> bytes:
        """All that the console has said since this was last asked, at the prompt and before it."""
        before, self._said = self._said, b""
        return before + (b"" if self._held is None else self._held.take_said())

    def _switch(self, verb: str) -> None:
        """Switch the supply *verb*: on or off. Raises DriverError when a shell driver's tool fails."""
        from jumpstarter_driver_shell.supply import switch_of

        switch_of(self.power, verb)()

    @contextmanager
    def _line(self, debug: bool) -> Iterator[Line]:
        from .common import UbootError
        from .line import MOST_KEPT, Line

        if self._held is not None:
            raise UbootError("U-Boot's console is in use already; leave its context first")
        show = _on_stderr if debug else None
        with Line(self.serial.stream, show) as line:
            self._held = line
            try:
                yield line
            finally:
                self._said = (self._said + line.take_said())[-MOST_KEPT:]
                self._held = None

    @contextmanager
    def _holding(
        self, line: Line, retries: int, key: str, starting: Future[None] | None = None
    ) -> Iterator[None]:
        from jumpstarter.common.interrupts import result_of

        from .console import Prompt

        console = Prompt(line, self.prompt)
        console.catch(retries, key, starting)
        if starting is not None:
            result_of(starting)
        self._console = console
        try:
            yield
        finally:
            self._console = None

    def run_command(self, cmd: str, timeout: int = 60, *, _internal_log: bool = True) -> bytes:
        """Run *cmd* and return what it wrote, as it came.

        Raises `UbootTimeout` when the prompt is not back in time, ValueError when *cmd* has several lines.
        """
        if self._console is None:
            from .common import UbootError

            raise UbootError(
                "U-Boot is not at its prompt; call this within `with uboot.reboot_to_console():`"
            )
        if _internal_log:
            self.logger.info("Running command: %s", cmd)
        return self._console.run(cmd, timeout)

    def run_command_checked(
        self, cmd: str, timeout: int = 60, check: bool = True, tries: int = 1
    ) -> list[str]:
        """Run *cmd* and return the lines it wrote.

        With *check*, raises `UbootError` when it ends with an exit code other than 0, after *tries* attempts.
        """
        from .common import UbootError

        for left in reversed(range(max(1, tries))):
            output = self.run_command(cmd, timeout).decode(errors="replace")
            lines = output.replace("\r", "").strip("\n").split("\n") if output.strip() else []
            code = self._exit_code(cmd)
            if code == 0 or not check:
                return lines
            if left:
                self.logger.info("`%s` ended with exit code %d, trying again", cmd, code)
        wrote = repr(" / ".join(lines)) if lines else "nothing"
        raise UbootError(f"`{cmd}` ended with exit code {code}; it wrote {wrote}")

    def get_env(self, key: str, timeout: int = 5) -> str | None:
        """The value of the environment variable *key*; None when it is not set."""
        name = _checked_name(key)
        output = self.run_command(f"printenv {name}", timeout, _internal_log=False).decode(errors="replace")
        value = re.search(rf"^{re.escape(name)}=(.*)", output.replace("\r", ""), re.MULTILINE | re.DOTALL)
        return value[1].rstrip("\n") if value else None

    def set_env(self, key: str, value: str | None, timeout: int = 5) -> None:
        """Set the environment variable *key* to *value* as it is, without expansion; None removes it.

        Raises `UbootError` when U-Boot refuses, ValueError for a value of several lines.
        """
        name = _checked_name(key)
        command = f"setenv {name}" if value is None else f"setenv {name} {_quoted(value)}"
        self.run_command_checked(command, timeout)

    def set_env_dict(self, env: Mapping[str, str | None]) -> None:
        """Set several environment variables, in order; see `set_env`."""
        for key, value in env.items():
            self.set_env(key, value)

    def setup_dhcp(self, timeout: int = 60) -> DhcpInfo:
        """Get an address from the network's DHCP server, without loading a file.

        Leaves ``autoload`` set to ``no``. Raises `UbootError` when U-Boot gets none.
        """
        from .common import DhcpInfo, UbootError

        self.set_env("autoload", "no")
        lines = self.run_command_checked("dhcp", timeout)
        address, netmask = self.get_env("ipaddr"), self.get_env("netmask")
        if not address or not netmask:
            raise UbootError(f"`dhcp` gave no address and netmask; it wrote {' / '.join(lines)!r}")
        return DhcpInfo(ip_address=address, gateway=self.get_env("gatewayip") or "", netmask=netmask)

    def cli(self) -> click.Group:
        """The ``j`` commands: those of power and serial, ``run`` and ``console``."""
        base = super().cli()
        base.help = self.description or "U-Boot, at its prompt"

        @base.command()
        @click.option("--debug", is_flag=True, help="Show the console on standard error.")
        @click.option(
            "--retries", type=click.IntRange(min=1), default=100, show_default=True, help="Key presses."
        )
        @click.option(
            "--timeout", type=click.IntRange(min=1), default=60, show_default=True, help="Seconds a command."
        )
        @click.argument("commands", metavar="COMMAND...", nargs=-1, required=True)
        @click.option("--no-reboot", is_flag=True, help="Take the prompt that is there.")
        def run(commands: tuple[str, ...], debug: bool, retries: int, timeout: int, no_reboot: bool) -> None:
            """Reboot to U-Boot and run each COMMAND at its prompt; stops at the first that fails"""
            enter = self.take_console if no_reboot else self.reboot_to_console
            with enter(debug=debug, retries=retries):
                for command in commands:
                    for line in self.run_command_checked(command, timeout):
                        click.echo(line)

        @base.command()
        @click.option(
            "--retries", type=click.IntRange(min=1), default=100, show_default=True, help="Key presses."
        )
        @click.option("--no-reboot", is_flag=True, help="Take the prompt that is there.")
        @click.pass_context
        def console(ctx: click.Context, retries: int, no_reboot: bool) -> None:
            """Reboot to U-Boot's prompt and open the serial console there"""
            enter = self.take_console if no_reboot else self.reboot_to_console
            with enter(retries=retries):
                pass
            ctx.invoke(self.serial.cli().commands["start-console"])

        return base

    def _exit_code(self, command: str) -> int:
        from .common import UbootError

        text = self.run_command("echo $?", _internal_log=False).decode(errors="replace")
        found = re.search(r"^(\d+)\s*$", text, re.MULTILINE)
        if found is None:
            raise UbootError(f"cannot tell the exit code of `{command}`: `echo $?` wrote {text.strip()!r}")
        return int(found[1])


def _on_stderr(data: bytes) -> None:
    """Show the console: standard output is for results."""
    import sys

    sys.stderr.write(data.decode(errors="replace"))
    sys.stderr.flush()


def _open_if_there(line: Line) -> None:
    """Open the line of a board that is off, and drop what it had kept from before.

    A line that comes with the board's power is not there yet.
    """
    from jumpstarter.client.core import DriverError

    try:
        line.open()
    except DriverError:
        return
    line.text.take_quiet(_QUIET, _QUIET_TIMEOUT)
    line.take_said()


def _checked_name(key: str) -> str:
    if not re.fullmatch(r"[^\s=;$'\"\\]+", key):
        raise ValueError(f"found {key!r}, expected the name of an environment variable")
    return key


def _quoted(value: str) -> str:
    """*value* as one word of U-Boot's shell, whose single quotes keep all but themselves and backslashes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "'\\''") + "'"
