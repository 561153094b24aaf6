"""What an exporter remembers across its own death: which lease it serves, for as long as an afterLease hook is due for it.

One file for each exporter of a controller, in ``jumpstarter/exporters`` below systemd's ``$STATE_DIRECTORY``, else below
``$XDG_STATE_HOME``, else below ``~/.local/state``. An exporter that cannot write it says so in its log, and serves without.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from jumpstarter.common.exceptions import FileAccessError
from jumpstarter.config.files import write_atomically
from jumpstarter.config.loader import display_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unfinished:
    """A lease whose afterLease hook has not ended. *ending*: its client has said that it is done."""

    lease: str
    client: str
    ending: bool = False


class Record:
    """The file *path*; None where nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> Unfinished | None:
        """What an earlier process of this exporter left unfinished."""
        if self._path is None:
            return None
        try:
            return Unfinished(**_checked(json.loads(self._path.read_text("utf-8"))))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self._warn(f"cannot be read ({error})")
            return None

    def write(self, unfinished: Unfinished) -> None:
        """Remember *unfinished*."""
        if self._path is None:
            return
        try:
            write_atomically(self._path, json.dumps(asdict(unfinished)))
        except FileAccessError as error:
            logger.warning(
                "%s: should this exporter be killed, the afterLease hook of its lease will not run; "
                "set XDG_STATE_HOME to a folder that can be written",
                error,
            )

    def clear(self, lease: str) -> None:
        """Nothing is left to do for *lease*. What another process has written meanwhile stays."""
        if self._path is None or (left := self.read()) is None or left.lease != lease:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._warn(f"cannot be removed ({error.strerror})")

    def _warn(self, problem: str) -> None:
        assert self._path is not None
        logger.warning(
            "%s %s: what this exporter left unfinished is unknown", display_path(self._path), problem
        )


def _checked(content: object) -> dict[str, object]:
    """*content* if it is what `Record.write` writes. Raises ValueError."""
    kinds = {"lease": str, "client": str, "ending": bool}
    if not isinstance(content, dict) or {key: type(value) for key, value in content.items()} != kinds:
        raise ValueError("it is not the record of a lease")
    return content


def record_path(endpoint: str, namespace: str, name: str) -> Path | None:
    """The file of one exporter of one controller; None for an account without a home."""
    digest = hashlib.sha256("\0".join((endpoint, namespace, name)).encode()).hexdigest()
    readable = "".join(char if char.isalnum() or char in "-_" else "-" for char in name)[:64]
    folder = _state_folder()
    return folder and folder / "jumpstarter" / "exporters" / f"{readable}-{digest[:16]}.json"


def _state_folder() -> Path | None:
    for folder in (os.environ.get("STATE_DIRECTORY", "").split(":")[0], os.environ.get("XDG_STATE_HOME", "")):
        if Path(folder).is_absolute():
            return Path(folder)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:
        return None
