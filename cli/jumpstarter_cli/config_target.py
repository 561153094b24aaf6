"""Where ``jmp admin`` writes the configuration of a client or exporter: a file, or standard output for ``--out -``.

A file that is there already is replaced, as stock Jumpstarter does it, and nothing is lost by that: a configuration of the
same identity keeps its drivers and hooks and gets the new credential, anything else is kept beside it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from jumpstarter.common.exceptions import FileAccessError, JumpstarterException
from jumpstarter.config.loader import display_path

from .logs import note

STANDARD_OUTPUT: Final = Path("-")
#: Copies of one file that are kept at the most.
COPIES: Final = 100


@dataclass(frozen=True)
class Target:
    """Where a configuration of *kind* ("client", "exporter") goes."""

    kind: str
    path: Path

    @classmethod
    def of(cls, kind: str, name: str, out: Path | None) -> Target:
        """The target of *name*. Raises FileAccessError before anything is made when it cannot be written."""
        target = cls(kind, out or default_path(kind, name))
        if not target.is_stdout:
            target.check()
        return target

    @property
    def is_stdout(self) -> bool:
        return self.path == STANDARD_OUTPUT

    def check(self) -> None:
        """Raise FileAccessError when the file cannot be written."""
        if self.path.is_dir():
            raise click.BadParameter(f"'{self.path}' is a directory, expected a file", param_hint="'--out'")
        folder = nearest_folder(self.path)
        if not os.access(self.path if self.path.exists() else folder, os.W_OK):
            raise FileAccessError(f"{display_path(self.path)}: cannot be written: permission denied")

    def write(self, config: Any, *, drivers_chosen: bool = False) -> Any:
        """Write *config*; gives what was written. *drivers_chosen*: its drivers are as the command line wants them."""
        if self.is_stdout:
            click.echo(config.dump_yaml(), nl=False)
        elif self.path.exists() and not stat.S_ISREG(self.path.stat().st_mode):
            self._write_through(config.dump_yaml())
        else:
            config = self._with_what_is_there(config, drivers_chosen) if self.path.exists() else config
            config.save(self.path)
        return config

    def _write_through(self, text: str) -> None:
        """Write *text* into what is no file, such as /dev/stdout or a pipe. Raises FileAccessError."""
        try:
            self.path.write_text(text)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise FileAccessError(f"{display_path(self.path)}: cannot be written: {reason}") from None

    def tell(self, say: Callable[[str], object]) -> None:
        """Have it said where the configuration is, unless it is on standard output."""
        if not self.is_stdout:
            say(f"{self.kind.title()} configuration saved to {self.path}")

    def _with_what_is_there(self, config: Any, drivers_chosen: bool) -> Any:
        """*config*, or what the file has with the credential of *config*. What fits neither is kept in another file."""
        before = self._existing()
        if before is None or before.metadata != config.metadata:
            note(f"Kept the file that was there as {display_path(self._keep())}")
            return config
        before.endpoint, before.token, before.tls = config.endpoint, config.token, config.tls
        if drivers_chosen:
            before.drivers = config.drivers
        return before

    def _existing(self) -> Any:
        """The configuration in the file; None when it holds none of this kind."""
        from jumpstarter.config.client import ClientConfigV1Alpha1
        from jumpstarter.config.exporter import ExporterConfigV1Alpha1

        try:
            if self.kind == "client":
                return ClientConfigV1Alpha1.from_file(self.path, environment=False)
            return ExporterConfigV1Alpha1.load_path(self.path, check_drivers=False, environment=False)
        except JumpstarterException:
            return None

    def _keep(self) -> Path:
        """Put the file aside; gives where. Raises FileAccessError."""
        names = (f"{self.path.name}.bak{number or ''}" for number in range(COPIES))
        for copy in map(self.path.with_name, names):
            try:
                os.link(self.path, copy)
            except FileExistsError:
                continue
            except OSError as error:
                raise FileAccessError(
                    f"{display_path(copy)}: cannot be written: {(error.strerror or str(error)).lower()}"
                ) from None
            return copy
        raise FileAccessError(
            f"{display_path(self.path)}.bak: there are {COPIES} copies already; delete some, or name another file with --out"
        )


def default_path(kind: str, name: str) -> Path:
    """The file of *name*: for exporters the system's, where services look, if this user may write there.

    Else, and for clients, the user's. The system's folder of exporters is made where the one above it is there.
    """
    from jumpstarter.config.files import CLIENTS, EXPORTERS

    if kind == "client":
        return CLIENTS.user_path(name)
    user, system = EXPORTERS.user_path(name), EXPORTERS.system_path(name)
    return user if user.exists() or not _may_write(system.parent) else system


def _may_write(folder: Path) -> bool:
    """Whether this user may write into *folder*, which need not be there if the one above it is."""
    existing = folder if folder.exists() else folder.parent
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def nearest_folder(path: Path) -> Path:
    """The folder of *path*, or the nearest one above that exists."""
    return next(folder for folder in path.absolute().parents if folder.exists())
