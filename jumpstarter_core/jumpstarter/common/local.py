"""Where the background local exporter (``jmp local start``) is found, by every client of the same user.

The exporter holds a lock on its state file as long as it lives, so "is it running" is a question to the
kernel: neither a file left behind by a killed exporter nor a process id used again looks like a running one.
The lock file stays when the exporter ends; only its content counts, and only while it is locked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jumpstarter.common.exceptions import FileAccessError


@dataclass(frozen=True)
class LocalExporter:
    """A running local exporter: its process, its name, its config file ("" if built in), its unix socket, its labels.

    `socket` is "" while the exporter starts.
    """

    pid: int
    name: str
    config: str
    socket: str
    labels: dict[str, str] = field(default_factory=dict)


STATE_SIZE = 16 * 1024


class AlreadyRunning(Exception):
    """Raised when the local exporter's lock is held by another process."""


def runtime_directory() -> Path:
    """The directory for sockets and state: private to the user, gone after a reboot.

    ``$XDG_RUNTIME_DIR/jumpstarter``, or ``jumpstarter-<uid>`` in the directory for temporary files.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        return Path(base) / "jumpstarter"
    import tempfile

    return Path(tempfile.gettempdir()) / f"jumpstarter-{os.getuid()}"


def state_file() -> Path:
    """The local exporter's state and lock file; it may not exist."""
    return runtime_directory() / "local.json"


def log_file() -> Path:
    """What the local exporter logs, since its last start."""
    return runtime_directory() / "local.log"


def make_runtime_directory() -> Path:
    """Create the runtime directory if needed.

    Raises:
        FileAccessError: it cannot be made, or another user could change it.
    """
    path = runtime_directory()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FileAccessError(f"cannot create {path}: {error.strerror}; set XDG_RUNTIME_DIR") from error
    if not _is_ours(path):
        raise FileAccessError(
            f"{path} belongs to another user or others may write to it; set XDG_RUNTIME_DIR"
        )
    return path


def running_exporter() -> LocalExporter | None:
    """The local exporter of this user that takes connections, or None."""
    exporter = exporter_process()
    return exporter if exporter is not None and exporter.socket else None


def exporter_process() -> LocalExporter | None:
    """The local exporter of this user, be it ready or still starting, or None."""
    import fcntl

    path = state_file()
    try:
        file = open(path, encoding="utf-8")  # noqa: SIM115 - closed by the `with` below
    except OSError:
        return None
    with file:
        if not _is_ours(path.parent):
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _parse(file.read())
        return None


def wait_until_ended() -> None:
    """Block until no local exporter runs."""
    import fcntl

    with open(state_file(), encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_SH)


class Announcement:
    """The lock on the state file, held by the exporter process."""

    def __init__(self, file: int) -> None:
        self._file = file

    def publish(self, exporter: LocalExporter) -> None:
        """Let clients find *exporter*."""
        import json

        # One write of a fixed size: a reader sees the old state or the new one.
        os.pwrite(self._file, json.dumps(asdict(exporter)).encode().ljust(STATE_SIZE), 0)


@contextmanager
def announced(name: str, config: str) -> Iterator[Announcement]:
    """Be the one local exporter of this user for as long as the context lasts.

    Raises:
        AlreadyRunning: another process is.
        FileAccessError: the runtime directory cannot be used.
    """
    import fcntl

    make_runtime_directory()
    file = os.open(state_file(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning from None
        try:
            announcement = Announcement(file)
            announcement.publish(LocalExporter(os.getpid(), name, config, ""))
            yield announcement
        finally:
            os.ftruncate(file, 0)
    finally:
        os.close(file)


def _parse(text: str) -> LocalExporter | None:
    import json

    # Empty for the moment between lock and first write, and again at the end.
    return LocalExporter(**json.loads(text)) if text.strip() else None


def _is_ours(directory: Path) -> bool:
    facts = directory.stat()
    return facts.st_uid == os.getuid() and not facts.st_mode & 0o022
