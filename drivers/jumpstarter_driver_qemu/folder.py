"""The folder of a board's disks and sockets; it does not outlive the board, even when the exporter is killed.

A folder holds a locked file while its board exists. The kernel gives up the lock of a process that ends in
whatever way, so a folder whose lock can be taken belongs to nobody, and the next board removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from jumpstarter.common.tempfile import short_folder

_PREFIX = "jumpstarter-qemu-"
_LOCK = "lock"
#: Bytes of the longest name of a socket below the folder for temporary files.
_ROOM = len(f"/{_PREFIX}12345678/console.sock")


class BoardFolder:
    """A new folder in the system's place for temporary files (TMPDIR); `close` removes it.

    It is in another place when sockets would not fit below that one. Raises FileAccessError when none will do.
    """

    def __init__(self) -> None:
        base = short_folder(_ROOM)
        remove_abandoned(base)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder with everything in it. Closing twice is fine."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def remove_abandoned(base: Path) -> None:
    """Remove the folders below *base* that boards of this user left behind."""
    for path in base.glob(f"{_PREFIX}*"):
        if not _is_ours(path):
            continue
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # being made at this moment, or not a board's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            continue  # of a board that exists
        finally:
            os.close(lock)


def _is_ours(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False  # its owner was quicker
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
