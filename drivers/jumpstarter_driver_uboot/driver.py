"""The exporter's side of the U-Boot driver: which power and serial driver belong to the board, and its
prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.driver import Driver, export

from .common import DEFAULT_PROMPT, DEFAULT_STOP

__all__ = ["UbootConsole"]


@dataclass(kw_only=True)
class UbootConsole(Driver):
    """U-Boot on a board whose children are ``power`` and ``serial``, given inline or by reference.

    Args:
        prompt: U-Boot's command prompt
        autoboot_stop: what stops the countdown: a key (`ctrl-c`, `esc`, `space`, `enter`, `tab`), or the word or password
            that U-Boot asks for
    """

    prompt: str = DEFAULT_PROMPT
    autoboot_stop: str = DEFAULT_STOP

    def __post_init__(self) -> None:
        super().__post_init__()
        for child in ("power", "serial"):
            if child not in self.children:
                raise ConfigurationError(
                    f"UbootConsole: no child {child!r}; give it under children:, inline or as {{ref: NAME}}"
                )
        if not self.prompt.strip():
            raise ConfigurationError(
                f"prompt: found {self.prompt!r}, expected text such as {DEFAULT_PROMPT!r}"
            )

        if not self.autoboot_stop:
            raise ConfigurationError("autoboot_stop: found '', expected a key such as 'esc', or text")

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_uboot.client.UbootConsoleClient"

    @export
    def get_prompt(self) -> str:
        """U-Boot's command prompt."""
        return self.prompt

    @export
    def get_autoboot_stop(self) -> str:
        """What stops U-Boot's countdown, as configured."""
        return self.autoboot_stop
