"""U-Boot: its console is entered by one keyword and left by another, for Robot has no ``with``."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from typing import Any

from jumpstarter.streams.screen import as_lines
from robot.api import logger

from JumpstarterLibrary.conversion import to_client

from .base import Adapter, Context


class UbootAdapter(Adapter):
    """Reflection, with the client's context manager as a pair of keywords."""

    def __init__(self, client: Any, context: Context) -> None:
        super().__init__(client, context)
        self._console = context.cleanup.enter_context(ExitStack())

    def reboot_to_console(self, *, retries: int = 100, debug: bool = False, stop: str | None = None) -> None:
        """Power cycle the board and stop it at U-Boot's prompt, ready for `Uboot Run Command` and its like.

        The prompt stays held until `Uboot Leave Console`, or until the exporter is disconnected. Until then
        U-Boot's keywords have the serial console, and its own keywords fail. What the console says is logged.

        Args:
            retries: How often to look for the prompt before giving up.
            debug: Show what the console says while waiting.
            stop: What stops the countdown: a key (``ctrl-c``, ``esc``, ``space``, ``enter``, ``tab``), or the word or password
                that U-Boot asks for; by default what the exporter's configuration says.
        """
        self.leave_console()
        consoles, group = self._context.consoles, self._context.path
        consoles.switched_off(group)
        consoles.switching_on(group)
        self._hold(self._client.reboot_to_console(debug=debug, retries=retries, stop=stop))

    def take_console(self, *, retries: int = 10, debug: bool = False) -> None:
        """Take U-Boot's prompt where the board is at it already; the board is not power cycled.

        Otherwise like `Uboot Reboot To Console`.

        Args:
            retries: How often to look for the prompt before giving up.
            debug: Show what the console says while waiting.
        """
        self.leave_console()
        self._hold(self._client.take_console(debug=debug, retries=retries))

    def run_command(self, cmd: str, timeout: timedelta = timedelta(minutes=1)) -> str:
        """Run *cmd* at U-Boot's prompt and return what it wrote.

        Args:
            cmd: One line for U-Boot's shell.
            timeout: How long to wait for the prompt to come back.
        """
        written: bytes = self._client.run_command(cmd, to_client(timeout, int))
        return written.decode("utf-8", "replace")

    def leave_console(self) -> None:
        """Give the serial console back; the board stays where it is. Does nothing when it is not held."""
        self._console.close()

    def _hold(self, prompt: AbstractContextManager[None]) -> None:
        with ExitStack() as entering:
            entering.enter_context(
                self._context.consoles.lent(f"{self._context.name} has it at U-Boot's prompt")
            )
            entering.enter_context(prompt)
            self._console.enter_context(entering.pop_all())

    def _left(self, method: str) -> None:
        said = as_lines(self._client.take_said())
        if said.strip():
            logger.info(said)
