"""U-Boot: its console is entered by one keyword and left by another, for Robot has no ``with``."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from robot.api import logger

from JumpstarterLibrary.console import printable
from JumpstarterLibrary.conversion import to_client

from .base import Adapter, Context


class UbootAdapter(Adapter):
    """Reflection, with the client's context manager as a pair of keywords."""

    def __init__(self, client: Any, context: Context) -> None:
        super().__init__(client, context)
        self._console = context.cleanup.enter_context(ExitStack())

    def reboot_to_console(self, *, retries: int = 100, debug: bool = False) -> None:
        """Power cycle the board and stop it at U-Boot's prompt, ready for `Uboot Run Command` and its like.

        The prompt stays held until `Uboot Leave Console`, or until the exporter is disconnected. Until then
        U-Boot's keywords have the serial console, and its own keywords fail.

        Args:
            retries: How often to look for the prompt before giving up.
            debug: Show what the console says while waiting.
        """
        self.leave_console()
        with ExitStack() as entering:
            entering.enter_context(
                self._context.consoles.lent(f"{self._context.name} has it at U-Boot's prompt")
            )
            entering.enter_context(self._client.reboot_to_console(debug=debug, retries=retries))
            self._console.enter_context(entering.pop_all())

    def run_command(self, cmd: str, timeout: timedelta = timedelta(minutes=1)) -> str:
        """Run *cmd* at U-Boot's prompt and return what it wrote.

        Args:
            cmd: One line for U-Boot's shell.
            timeout: How long to wait for the prompt to come back.
        """
        written: bytes = self._client.run_command(cmd, to_client(timeout, int))
        text = written.decode("utf-8", "replace")
        logger.info(printable(text))
        return text

    def leave_console(self) -> None:
        """Give the serial console back; the board stays where it is. Does nothing when it is not held."""
        self._console.close()
