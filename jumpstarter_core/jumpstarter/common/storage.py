"""Reading and writing storage devices, such as an SD card behind a multiplexer.

Opening, reading, writing and syncing a device may each block for minutes, so all of it runs on worker threads.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import CancelScope, fail_after, sleep, to_thread

#: Seconds between two looks at a device that is not there yet: the kernel tells nobody without privileges.
_LOOK_AGAIN: Final = 0.2
_CHUNK: Final = 1 << 20
_LOG_EVERY: Final = 64 << 20


async def wait_for_storage_device(
    storage_device: str | os.PathLike[str],
    mode: int,
    timeout: float = 10,
    *,
    logger: logging.Logger | None = None,
) -> None:
    """Wait until *storage_device* can be opened with *mode* (such as `os.O_WRONLY`) and has a medium.

    Raises TimeoutError with the last reason after *timeout* seconds.
    """
    async with _opened(storage_device, mode, timeout, logger):
        return


async def write_to_storage_device(
    storage_device: str | os.PathLike[str],
    resource: Any,
    timeout: float = 10,
    fsync_timeout: float = 900,
    leeway: float = 6,
    *,
    logger: logging.Logger | None = None,
) -> None:
    """Write all of *resource* (an async iterable of bytes) to *storage_device* and have the kernel sync it.

    *timeout* seconds are for the device to appear, *fsync_timeout* for the sync; *leeway* seconds follow, for devices that
    acknowledge what they have not stored. Raises TimeoutError, or OSError as the device does.
    """
    async with _opened(storage_device, os.O_WRONLY, timeout, logger) as file:
        progress = _Progress(logger, f"to {os.fspath(storage_device)}")
        async for chunk in resource:
            await to_thread.run_sync(_write_all, file, chunk)
            progress.add(len(chunk))
        try:
            with fail_after(fsync_timeout):
                # The thread keeps its own descriptor: an abandoned sync must not meet one that is used again.
                await to_thread.run_sync(_sync_and_close, os.dup(file), abandon_on_cancel=True)
        except TimeoutError:
            raise TimeoutError(
                f"{os.fspath(storage_device)} was not synced within {fsync_timeout:g} s: it is slow or failing"
            ) from None
    await sleep(leeway)


async def read_from_storage_device(
    storage_device: str | os.PathLike[str],
    resource: Any,
    timeout: float = 10,
    *,
    logger: logging.Logger | None = None,
) -> None:
    """Send all of *storage_device* to *resource* (a stream with an async `send`).

    Raises TimeoutError when the device does not appear within *timeout* seconds, or OSError as the device does.
    """
    async with _opened(storage_device, os.O_RDONLY, timeout, logger) as file:
        progress = _Progress(logger, f"from {os.fspath(storage_device)}")
        while chunk := await to_thread.run_sync(os.read, file, _CHUNK):
            await resource.send(chunk)
            progress.add(len(chunk))


@asynccontextmanager
async def _opened(
    device: str | os.PathLike[str], mode: int, timeout: float, logger: logging.Logger | None
) -> AsyncGenerator[int]:
    reason: OSError | None = None
    try:
        with fail_after(timeout):
            while True:
                try:
                    file = await to_thread.run_sync(_open, device, mode)
                    break
                except OSError as error:
                    if logger is not None and str(error) != str(reason):
                        logger.info("waiting for %s: %s", os.fspath(device), error.strerror)
                    reason = error
                await sleep(_LOOK_AGAIN)
    except TimeoutError:
        why = reason.strerror if reason is not None else "opening it does not return"
        raise TimeoutError(
            f"storage device {os.fspath(device)} is not ready after {timeout:g} s: {why}; "
            "check the cable, and that the device is switched to this host"
        ) from None
    try:
        yield file
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(os.close, file)


def _open(device: str | os.PathLike[str], mode: int) -> int:
    """A descriptor. Raises OSError, also for a drive without a medium: its size is 0."""
    import errno

    file = os.open(device, mode | os.O_CLOEXEC)
    try:
        if stat.S_ISBLK(os.fstat(file).st_mode) and os.lseek(file, 0, os.SEEK_END) == 0:
            raise OSError(errno.ENXIO, "there is no medium in it", os.fspath(device))
        if stat.S_ISBLK(os.fstat(file).st_mode):
            os.lseek(file, 0, os.SEEK_SET)
    except BaseException:
        os.close(file)
        raise
    return file


def _write_all(file: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_and_close(file: int) -> None:
    try:
        os.fsync(file)
    finally:
        os.close(file)


class _Progress:
    def __init__(self, logger: logging.Logger | None, direction: str) -> None:
        self._logger = logger
        self._direction = direction
        self._done = 0

    def add(self, count: int) -> None:
        before, self._done = self._done, self._done + count
        if self._logger is not None and before // _LOG_EVERY != self._done // _LOG_EVERY:
            self._logger.info("%d MiB %s", self._done >> 20, self._direction)
