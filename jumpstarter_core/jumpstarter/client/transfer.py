"""Where an image comes from and goes to: a local file or a URL.

A URL is handed to the exporter, which reads it without a detour by the client, unless the data is compressed: a presigned
request has no way to say so, so the client carries the bytes then.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jumpstarter.common.exceptions import ArgumentError, FileAccessError, FileNotFoundError

from .progress import Progress
from .streams import file_chunks

if TYPE_CHECKING:
    from .base import DriverClient

PathBuf = str | os.PathLike[str]


def is_url(path: PathBuf) -> bool:
    """True for an ``http://`` or ``https://`` address."""
    return isinstance(path, str) and path.startswith(("http://", "https://"))


def base_name(path: PathBuf) -> str:
    """The last part of *path*, for people to read."""
    return os.fspath(path).rstrip("/").rpartition("/")[2].partition("?")[0]


@contextmanager
def sending(client: DriverClient, path: PathBuf, compression: Any = None) -> Generator[Any]:
    """A handle from which a driver's method reads the content of *path*; valid while the context lasts.

    *compression* says how that content is compressed; the driver reads it plain. Raises FileNotFoundError or
    FileAccessError for a local file that cannot be read.
    """
    if is_url(path) and not compression:
        yield {"kind": "presigned_request", "headers": {}, "url": os.fspath(path), "method": "GET"}
        return
    with _reader(path) as (file, size), carry_in(client, file, base_name(path), size, compression) as handle:
        yield handle


@contextmanager
def receiving(
    client: DriverClient, path: PathBuf, compression: Any = None, size: int | None = None
) -> Generator[Any]:
    """A handle to which a driver's method writes what shall become the local file *path*.

    *compression* is what the file gets; the driver writes plain bytes. *size* in bytes, where known, is for the progress
    display. A file that this call made is removed when the transfer fails. Raises FileAccessError when it cannot be written.
    """
    with _writer(path) as file, carry_out(client, file, base_name(path), size, compression) as handle:
        yield handle


@contextmanager
def carry_in(
    client: DriverClient, file: Any, name: str, size: int | None, compression: Any
) -> Generator[Any]:
    """A handle for the rest of the open *file*, with progress."""
    with (
        Progress(name, size) as progress,
        client.sending(progress.over(file_chunks(file)), _text(compression)) as handle,
    ):
        yield handle


@contextmanager
def carry_out(
    client: DriverClient, file: Any, name: str, size: int | None, compression: Any
) -> Generator[Any]:
    """A handle to write into the open *file*, with progress."""
    with (
        Progress(name, size) as progress,
        client.receiving(progress.writer(file), _text(compression)) as handle,
    ):
        yield handle


def _text(compression: Any) -> str | None:
    return None if compression is None else str(compression)


@contextmanager
def _reader(path: PathBuf) -> Generator[tuple[Any, int | None]]:
    """An open file with the content of *path*, and its size in bytes where it is known."""
    if is_url(path):
        with _open_url(os.fspath(path)) as response:
            length = response.headers.get("Content-Length")
            yield response, int(length) if length else None
    else:
        with _open_local(path) as local:
            yield local, _size(local)


def _open_url(url: str) -> Any:
    from jumpstarter.common.presigned import open_get
    from jumpstarter.common.resources import PresignedRequestResource

    return open_get(PresignedRequestResource(url=url, method="GET"), timeout=60)


def _open_local(path: PathBuf) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        kind = FileNotFoundError if isinstance(error, builtins.FileNotFoundError) else FileAccessError
        raise kind(f"cannot read {os.fspath(path)!r}: {error.strerror}") from None


def _size(file: BinaryIO) -> int | None:
    """The size of a file or block device; None for a pipe or terminal."""
    if not file.seekable():
        return None
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


@contextmanager
def _writer(path: PathBuf) -> Generator[Any]:
    """A file that becomes the content of *path*."""
    if is_url(path):
        raise ArgumentError(
            f"cannot write to {os.fspath(path)!r}: give a local file, or a path and its operator"
        )
    is_new = not Path(path).exists()
    try:
        local = open(path, "wb")  # noqa: SIM115 - closed by the `with` below
    except OSError as error:
        raise FileAccessError(f"cannot write {os.fspath(path)!r}: {error.strerror}") from None
    try:
        with local:
            yield local
    except BaseException as error:
        if is_new:
            Path(path).unlink(missing_ok=True)
        # What writing raises names no file; everything else that goes wrong in there has classes of its own.
        if isinstance(error, OSError) and error.filename is None and error.strerror is not None:
            raise FileAccessError(f"cannot write {os.fspath(path)!r}: {error.strerror}") from None
        raise
