"""What `Opendal` keeps of a file that a client has open, and the settings of its service."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from jumpstarter.common.exceptions import ConfigurationError

from .kinds import Mode

__all__ = ["OpenFile", "Part", "part_of", "settings_of"]


@dataclass(frozen=True)
class Part:
    """What becomes the content of the file *target* when it is whole; until then it is the file *path* of the storage."""

    path: str
    file: Path
    target: Path

    def commit(self) -> None:
        """Put it in the place of the target."""
        try:
            shutil.copymode(self.target, self.file)
            self.file.replace(self.target)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Leave the target as it is."""
        self.file.unlink(missing_ok=True)


def part_of(folder: str | None, path: str) -> Part | None:
    """Where to write what shall replace the file *path* of an ``fs`` storage in *folder*.

    None where it has to be written in place: other services, what is no file or is not there, a folder that takes no new files.
    """
    if folder is None:
        return None
    root = Path(folder).resolve()
    target = Path(os.path.realpath(root / path.lstrip("/")))
    if not target.is_relative_to(root) or not _is_file(target) or not os.access(target.parent, os.W_OK):
        return None
    file = target.with_name(f".{uuid4().hex}.part")
    return Part(str(file.relative_to(root)), file, target)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


@dataclass
class OpenFile:
    """A file on the storage; `is_new` when it was not there before it was opened.

    What replaces a file is written to `part`, where there is one, and takes its place when it is whole.
    """

    path: str
    mode: Mode
    file: Any
    is_new: bool
    part: Part | None = None

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
