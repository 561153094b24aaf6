"""Which paths of clients a storage accepts: those below its root, whatever the library and the system make of others.

A path is relative to the root, with or without a slash in front. `..` is refused even where it would stay below the root:
services differ in what they make of it, and some versions of OpenDAL follow it out, or list for ever.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

__all__ = ["Root"]

_SEPARATORS: Final = re.compile(r"[/\\]")


def refuse_nameless(path: str) -> None:
    """Raise ValueError for a path without a name, as of a variable that was not set: it would be the whole storage."""
    parts = _SEPARATORS.split(path)
    if not path or (any(parts) and all(part in ("", ".") for part in parts)):
        raise ValueError(f"path {path!r} names nothing below the root: for the whole storage give '/'")


@dataclass(frozen=True)
class Root:
    """The top of a storage. *folder* is where it is in the file system, None for other services.

    With *follow_links* symbolic links may lead out of the folder.
    """

    folder: str | None = None
    follow_links: bool = False

    @classmethod
    def of(cls, scheme: str, settings: Mapping[str, str], *, follow_links: bool) -> Self:
        """The root of the service *scheme* with *settings*."""
        folder = settings.get("root") if scheme.strip().lower() in ("fs", "file") else None
        return cls(folder and str(Path(folder).absolute()), follow_links)

    def checked(self, path: str) -> str:
        """*path* as it is. Raises ValueError when it leads out of the storage, or cannot be the path of anything."""
        if "\0" in path:
            raise ValueError(
                f"path {path!r} has a NUL character in it: expected a path below the storage's root"
            )
        if path != path.strip():
            raise ValueError(f"path {path!r} begins or ends with white space, which the storage would drop")
        if ".." in _SEPARATORS.split(path):
            raise ValueError(
                f"path escapes the configured root: {path!r} has '..' in it, give it from the root down"
            )
        if self.folder is not None and not self.follow_links:
            _check_links(self.folder, path)
        return path

    def named(self, path: str) -> str:
        """`checked`, for what is changed or removed. Raises ValueError for a path without a name, too."""
        refuse_nameless(path)
        return self.checked(path)


def _check_links(folder: str, path: str) -> None:
    root = os.path.realpath(folder)
    target = os.path.realpath(os.path.join(root, path.lstrip("/")))  # noqa: PTH118 - a path may be empty
    if target != root and not target.startswith(root.rstrip("/") + "/"):
        raise ValueError(
            f"path escapes the configured root: {path!r} leads out by a symbolic link; the storage's owner may allow that "
            "with follow_links: true in the exporter file"
        )
