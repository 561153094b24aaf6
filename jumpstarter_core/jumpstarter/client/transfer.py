"""Where an image comes from and goes to: a local file or a URL.

A URL is handed to the exporter, which reads it without a detour by the client, unless the data is compressed: a presigned
request has no way to say so, so the client carries the bytes then. It also carries what it alone can reach: ``localhost`` is
where it is typed.
"""

from __future__ import annotations

import builtins
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jumpstarter.common.exceptions import ArgumentError, FileAccessError, FileNotFoundError
from jumpstarter.common.images import HEAD_SIZE, compression_of, looks_packed
from jumpstarter.common.webaddress import (
    WebAddress,
    file_name,
    is_this_machine,
    is_url,
    redact,
    web_address,
)
from jumpstarter.streams.compression import inflated

from .progress import Progress
from .streams import file_chunks

if TYPE_CHECKING:
    from .base import DriverClient

PathBuf = str | os.PathLike[str]


def base_name(path: PathBuf) -> str:
    """The last part of *path*, for people to read."""
    if is_url(path):
        return file_name(os.fspath(path))
    return os.fspath(path).rstrip("/").rpartition("/")[2] or os.fspath(path)


@contextmanager
def sending(
    client: DriverClient, path: PathBuf, compression: Any = None, *, image: bool = False
) -> Generator[Any]:
    """A handle from which a driver's method reads the content of *path*; valid while the context lasts.

    *compression* says how that content is compressed; the driver reads it plain. For an *image* it is found out where it is
    not given, and ``none`` has the image written as it is. Raises FileNotFoundError or FileAccessError for a local file that
    cannot be read, ArgumentError for an address that is not valid and for an image that is empty or not certainly what its
    name tells.
    """
    if is_url(path) and not compression and not (image and looks_packed(base_name(path))):
        with _plain_url(client, os.fspath(path), image=image) as handle:
            yield handle
        return
    name = base_name(path)
    with _reader(path) as (file, size):
        if image:
            file, compression = as_image(file, name, compression)
        with carry_in(client, file, name, size, compression) as handle:
            yield handle


@contextmanager
def _plain_url(client: DriverClient, url: str, *, image: bool) -> Generator[Any]:
    address = _address(url)
    if not is_this_machine(url):
        yield {
            "kind": "presigned_request",
            "headers": address.headers,
            "url": address.url,
            "method": "GET",
        }
        return
    name = file_name(url)
    with (
        Progress(name) as progress,
        client.sending(progress.over(_fetched(url, name, image=image))) as handle,
    ):
        yield handle


def _fetched(url: str, name: str, *, image: bool) -> Iterator[bytes]:
    """What is behind *url*, asked for when the first piece is wanted."""
    with _open_url(url) as body:
        file, compression = as_image(body, name, None) if image else (body, None)
        chunks = file_chunks(file)
        yield from inflated(chunks, compression) if compression else chunks


def as_image(file: Any, name: str, compression: Any) -> tuple[Any, str | None]:
    """The open *file* and how it is to be decompressed; see `sending`."""
    head = b""
    while len(head) < HEAD_SIZE and (piece := file.read(HEAD_SIZE - len(head))):
        head += piece
    try:
        found = compression_of(name, head, _text(compression), getattr(file, "coding", None))
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    return _Peeked(head, file), found


class _Peeked:
    """A file whose first bytes were read."""

    def __init__(self, head: bytes, file: Any) -> None:
        self._head = head
        self._file = file

    def read(self, most: int) -> bytes:
        if not self._head:
            return bytes(self._file.read(most))
        head, self._head = self._head, b""
        return head + bytes(self._file.read(most - len(head)))


def _address(url: str) -> WebAddress:
    try:
        return web_address(url)
    except ValueError as error:
        raise ArgumentError(str(error)) from None


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
    return None if compression is None or compression == "" else str(compression)


@contextmanager
def _reader(path: PathBuf) -> Generator[tuple[Any, int | None]]:
    """An open file with the content of *path*, and its size in bytes where it is known."""
    if is_url(path):
        with _open_url(os.fspath(path)) as body:
            yield body, body.size
    else:
        with _open_local(path) as local:
            yield local, _size(local)


def _open_url(url: str) -> Any:
    from jumpstarter.common.presigned import open_get
    from jumpstarter.common.resources import PresignedRequestResource

    address = _address(url)
    return open_get(
        PresignedRequestResource(url=address.url, method="GET", headers=address.headers), timeout=60
    )


def _open_local(path: PathBuf) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        kind = FileNotFoundError if isinstance(error, builtins.FileNotFoundError) else FileAccessError
        raise kind(f"cannot read {_told(path)}: {error.strerror}{_of_another_scheme(path)}") from None
    except ValueError as error:  # no path of a file has a NUL in it
        raise FileNotFoundError(f"cannot read {_told(path)}: {error}") from None


def _told(path: PathBuf) -> str:
    """*path* for a message; without a password, as it may be an address."""
    return re.sub(r"(?<=://)[^/]*@", "", repr(os.fspath(path)))


def _of_another_scheme(path: PathBuf) -> str:
    """What to tell of a path that is not there, and is an address that cannot be read either; else nothing."""
    if re.match(r"(?i)(?!https?:)[a-z][a-z0-9+.-]*:/", os.fsdecode(path)) is None:
        return ""
    return "; addresses begin with http:// or https://, anything else is the path of a file, or goes with its operator"


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
            f"cannot write to {redact(os.fspath(path))!r}: give a local file, or a path and its operator"
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
