"""Configuration files on disk: found by alias, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jumpstarter.common.exceptions import ConfigurationError, FileAccessError, FileNotFoundError
from jumpstarter.common.suggestions import did_you_mean
from jumpstarter.config.common import system_config_home, user_config_home
from jumpstarter.config.loader import display_path


class Place:
    """A path that the environment decides, as an attribute of a class; whoever sets that attribute to a path moves the place."""

    def __init__(self, default: Callable[[], Path]) -> None:
        self._default = default
        self._shown: tuple[type, str] | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self._shown = owner, name

    def __get__(self, instance: object, owner: type | None = None) -> Path:
        return self._default()

    def path(self) -> Path:
        """Where it is now."""
        return self._default() if self._shown is None else Path(getattr(*self._shown))


@dataclass(frozen=True)
class AliasFolder:
    """The files of one kind, ``<folder>/<alias>.yaml``: the user's hide the system's of the same alias.

    *kind* is how messages call one (``exporter config``), *create* the command that makes one.
    """

    folder: str
    kind: str
    create: str
    user: Place = field(init=False, repr=False, compare=False)
    system: Place = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "user", Place(lambda: user_config_home() / self.folder))
        object.__setattr__(self, "system", Place(lambda: system_config_home() / self.folder))

    def user_path(self, alias: str) -> Path:
        """The user's file of *alias*; it need not exist. Raises ConfigurationError for a bad alias."""
        self.check_alias(alias)
        return self.user.path() / f"{alias}.yaml"

    def system_path(self, alias: str) -> Path:
        """The system's file of *alias*; it need not exist. Raises ConfigurationError for a bad alias."""
        self.check_alias(alias)
        return self.system.path() / f"{alias}.yaml"

    def find(self, alias: str) -> Path | None:
        """The file that *alias* names, the user's before the system's."""
        paths = (self.user_path(alias), self.system_path(alias))
        return next((path for path in paths if path.is_file()), None)

    def require(self, alias: str) -> Path:
        """The file that *alias* names.

        Raises FileNotFoundError that says where it was searched and which alias is nearest.
        """
        path = self.find(alias)
        if path is None:
            raise FileNotFoundError(self._not_found(alias))
        return path

    def aliases(self) -> dict[str, Path]:
        """All aliases, sorted, with the file that each names."""
        found: dict[str, Path] = {}
        for folder in (self.user.path(), self.system.path()):
            with contextlib.suppress(OSError):  # no such folder, or none that this user may read
                for path in folder.glob("*.yaml"):
                    if not path.name.startswith(".") and path.is_file():
                        found.setdefault(path.name.removesuffix(".yaml"), path)
        return dict(sorted(found.items()))

    def delete(self, alias: str) -> Path:
        """Delete the user's file of *alias* and return its path.

        Raises FileNotFoundError when there is none, ConfigurationError when only the system's exists.
        """
        path, system = self.user_path(alias), self.system_path(alias)
        if not path.is_file():
            self.require(alias)
            raise ConfigurationError(
                f"{self.kind} '{alias}' is the system's {display_path(system)}, not to be deleted here; "
                f"expected {display_path(path)}; ask the machine's administrator to remove it"
            )
        try:
            path.unlink()
        except OSError as error:
            raise FileAccessError(f"{display_path(path)}: cannot be deleted: {_reason(error)}") from None
        return path

    def check_alias(self, alias: str) -> None:
        """Raise ConfigurationError unless *alias* can be a file's name."""
        if not alias or alias in (".", "..") or any(char in alias for char in "/\\\0"):
            raise ConfigurationError(
                f"'{alias}' cannot be the alias of a {self.kind}; "
                "expected a name without slashes, such as 'my-lab'"
            )

    def _not_found(self, alias: str) -> str:
        known = self.aliases()
        hint = did_you_mean(alias, known)
        if not hint:
            hint = f"; there is {', '.join(known)}" if known else f"; create one with '{self.create} {alias}'"
        user, system = display_path(self.user_path(alias)), display_path(self.system_path(alias))
        return f"{self.kind} '{alias}' not found: neither {user} nor {system} exists{hint}"


CLIENTS = AliasFolder("clients", "client config", "jmp config client create")
EXPORTERS = AliasFolder("exporters", "exporter config", "jmp config exporter create")


def missing_file(path: Path, kind: str) -> FileNotFoundError:
    """The error for a file that was named by its path: what is near it."""
    absolute = Path.cwd() / path
    near = ""
    with contextlib.suppress(OSError):
        if absolute.parent.is_dir():
            names = sorted(other.name for other in absolute.parent.glob("*.y*ml"))
            match = did_you_mean(absolute.name, names)
            near = match or (f"; that directory has {', '.join(names[:5])}" if names else "")
        else:
            near = f"; there is no directory {display_path(absolute.parent)}"
    return FileNotFoundError(f"{kind} file '{path}' not found: {display_path(absolute)} does not exist{near}")


def write_atomically(path: Path, text: str) -> None:
    """Write *text* to *path*, which holds the old or the new content whatever happens; mode 0600.

    Makes missing directories (0700). Raises FileAccessError (no permission, disk full), nothing changed.
    """
    import tempfile  # brings much that reading does not need

    target = path.resolve()  # a symbolic link stays one
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise FileAccessError(f"{display_path(path)}: cannot be written: {_reason(error)}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:  # mkstemp made it 0600
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError):
            raise FileAccessError(f"{display_path(path)}: cannot be written: {_reason(error)}") from None
        raise
    _sync_directory(target.parent)


def make_folder(path: Path) -> None:
    """Make the folder *path*, only for its owner, and those above it, as far as they are missing. Raises FileAccessError."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FileAccessError(f"{display_path(path)}: cannot be made: {_reason(error)}") from None


def dump(data: dict[str, Any]) -> str:
    """*data* as YAML, keys in their order."""
    import yaml

    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _sync_directory(directory: Path) -> None:
    """Make the renaming durable, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
