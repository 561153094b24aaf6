"""Sockets and listeners that live as long as a context.

The folder of a socket holds a file that is locked while its process lives. The kernel gives up the lock however the process
ends, so a folder whose lock can be had was left by one that was killed, and the next one removes it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from .exceptions import FileAccessError

Handler = Callable[[Any], Awaitable[Any]]

_PREFIX: Final = "jumpstarter-socket-"
_SOCKET: Final = "socket"
_LOCK: Final = "lock"


#: Bytes that the path of a unix socket may have.
LONGEST_PATH: Final = 107 if sys.platform == "linux" else 103
#: Bytes below the folder for temporary files: the prefix, eight of chance, and the socket's name.
_ROOM: Final = len(f"/{_PREFIX}12345678/{_SOCKET}")


def short_folder(room: int = _ROOM) -> Path:
    """The folder for temporary files; another one where a socket's path of *room* more bytes does not fit below it.

    Raises FileAccessError when there is none.
    """
    usual = Path(tempfile.gettempdir())
    others = (os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp")
    for folder in (usual, *(Path(other) for other in others)):
        fits = folder.is_absolute() and len(os.fsencode(folder)) + room <= LONGEST_PATH
        if fits and (folder == usual or os.access(folder, os.W_OK | os.X_OK)):
            return folder
    raise FileAccessError(
        f"the name of the folder for temporary files, {usual}, is too long for sockets below it: expected {LONGEST_PATH - room} "
        "bytes at most; neither XDG_RUNTIME_DIR nor /tmp will do; set TMPDIR to a shorter one"
    )


@contextmanager
def TemporarySocket() -> Generator[Path]:  # noqa: N802 - the documented name
    """A path for a unix socket, in a folder that only this user can enter. Raises FileAccessError."""
    base = short_folder()
    _remove_abandoned(base)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=base) as folder:
        lock = _locked(Path(folder))
        try:
            yield Path(folder) / _SOCKET
        finally:
            os.close(lock)


def _locked(folder: Path) -> int:
    lock = os.open(folder / "new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Under its name only once it is locked: others look at that name.
    (folder / "new").rename(folder / _LOCK)
    return lock


def _remove_abandoned(base: Path) -> None:
    """Remove the sockets of this user's processes that were killed; nothing else, whatever it is called."""
    for folder in base.glob(f"{_PREFIX}*"):
        # Someone else may do the same at this moment.
        with suppress(OSError):
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                _remove_if_free(folder)


def _remove_if_free(folder: Path) -> None:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (folder / _SOCKET).is_socket():
            (folder / _SOCKET).unlink()
        (folder / _LOCK).unlink()
        folder.rmdir()
    finally:
        os.close(lock)


@asynccontextmanager
async def TemporaryUnixListener(handler: Handler, path: Any = None) -> AsyncGenerator[Path]:  # noqa: N802
    """Serve *handler* (a coroutine function that takes an anyio stream) on a unix socket; gives the path."""
    from anyio import create_task_group, create_unix_listener

    with TemporarySocket() as temporary:
        path = Path(path) if path is not None else temporary
        async with await create_unix_listener(path) as listener, create_task_group() as tasks:
            tasks.start_soon(listener.serve, handler)
            try:
                yield path
            finally:
                tasks.cancel_scope.cancel()


@asynccontextmanager
async def TemporaryTcpListener(  # noqa: N802
    handler: Handler,
    local_host: str = "127.0.0.1",
    local_port: int = 0,
    family: Any = socket.AddressFamily.AF_UNSPEC,
    backlog: int = 65536,
    reuse_port: bool = True,
) -> AsyncGenerator[tuple[str, int]]:
    """Serve *handler* on a TCP port (0: a free one); gives host and port."""
    from anyio import create_task_group, create_tcp_listener
    from anyio.abc import SocketAttribute

    async with (
        await create_tcp_listener(
            local_host=local_host,
            local_port=local_port,
            family=family,
            backlog=backlog,
            reuse_port=reuse_port,
        ) as listener,
        create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handler)
        address: Any = listener.extra(SocketAttribute.local_address)
        try:
            yield address[0], address[1]
        finally:
            tasks.cancel_scope.cancel()
