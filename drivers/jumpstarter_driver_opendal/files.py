"""What `Opendal` keeps of a file that a client has open, and the settings of its service."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from jumpstarter.common.exceptions import ConfigurationError

from .kinds import Mode

__all__ = ["OpenFile", "settings_of"]


@dataclass
class OpenFile:
    """A file on the storage; `is_new` when it was not there before it was opened."""

    path: str
    mode: Mode
    file: Any
    is_new: bool

    def close(self) -> None:
        """Close the file, also for the system: opendal keeps one open that it could not close, until nobody refers to it."""
        file, self.file = self.file, _closed_file()
        try:
            file.close()
        finally:
            del file  # the error's traceback refers to everything here


def _closed_file() -> BytesIO:
    file = BytesIO()
    file.close()
    return file


def settings_of(kwargs: Any) -> dict[str, str]:
    """The settings as OpenDAL takes them: text. YAML gives numbers and booleans for some."""
    if not isinstance(kwargs, dict):
        raise ConfigurationError(f"Opendal: kwargs is {kwargs!r}, expected a mapping of setting to text")
    settings = {}
    for name, value in kwargs.items():
        if isinstance(value, bool):
            value = str(value).lower()
        if not isinstance(value, str | int | float):
            raise ConfigurationError(f"Opendal: kwargs.{name} is {value!r}, expected a text")
        settings[str(name)] = str(value)
    return settings
