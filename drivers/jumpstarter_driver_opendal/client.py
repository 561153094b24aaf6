"""Clients of storage drivers."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import UUID

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.flasher import FlasherClientInterface
from jumpstarter.common.exceptions import ArgumentError

from .flashing import FlasherClient, StorageMuxClient, StorageMuxFlasherClient
from .transfer import PathBuf, operator_for_path, receiving, sending

if TYPE_CHECKING:
    from .common import Capability, Metadata, PresignedRequest

__all__ = [
    "FlasherClient",
    "FlasherClientInterface",
    "OpendalClient",
    "OpendalFile",
    "StorageMuxClient",
    "StorageMuxFlasherClient",
    "operator_for_path",
]


def __getattr__(name: str) -> Any:
    """What only programs written for stock Jumpstarter import from here."""
    if name not in ("clean_filename", "path_with_query"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import stock

    return getattr(stock, name)


_CHUNK = 1 << 20


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))


def _named(path: PathBuf) -> str:
    """*path* as text. Raises ArgumentError for one without a name: an exporter that is older takes it for the whole storage."""
    from .paths import refuse_nameless

    text = os.fspath(path)
    try:
        refuse_nameless(text)
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    return text


@dataclass(kw_only=True)
class OpendalFile:
    """A file that is open on the exporter, made by `OpendalClient.open`; a context manager that closes."""

    client: OpendalClient
    fd: UUID

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_bytes(self, data: bytes) -> None:
        """Write *data* at the current position."""
        with self.client.sending(_pieces(data)) as handle:
            self.client.call("file_write", self.fd, handle)

    def read_bytes(self) -> bytes:
        """What follows the current position."""
        buffer = io.BytesIO()
        with self.client.receiving(buffer) as handle:
            self.client.call("file_read", self.fd, handle)
        return buffer.getvalue()

    def write_from_path(self, path: PathBuf, operator: Any = None) -> None:
        """Write the content of *path*: a local file, an ``http(s)://`` address, or a path in *operator*.

        Raises `FileNotFoundError` when the local file does not exist, `DriverError` when the exporter
        cannot write it: the file is then closed, and removed if it is new.
        """
        with sending(self.client, path, operator=operator) as handle:
            self.client.call("file_write", self.fd, handle)

    def read_into_path(self, path: PathBuf, operator: Any = None) -> None:
        """Read what follows the current position into *path*: a local file, or a path in *operator*."""
        self._read_into(path, operator, None)

    def _read_into(self, path: PathBuf, operator: Any, size: int | None) -> None:
        with receiving(self.client, path, operator=operator, size=size) as handle:
            self.client.call("file_read", self.fd, handle)

    def seek(self, pos: int, whence: int = 0) -> int:
        """Move to *pos* bytes from the start (*whence* 0), the position (1) or the end (2); where that is."""
        return int(self.client.call("file_seek", self.fd, pos, whence))

    def tell(self) -> int:
        """The position in bytes."""
        return int(self.client.call("file_tell", self.fd))

    def close(self) -> None:
        """Close the file; what was written is complete after that."""
        self.client.call("file_close", self.fd)

    @property
    def closed(self) -> bool:
        """True when the file is closed."""
        return bool(self.client.call("file_closed", self.fd))

    def readable(self) -> bool:
        """True when the file was opened for reading."""
        return bool(self.client.call("file_readable", self.fd))

    def seekable(self) -> bool:
        """True when `seek` works."""
        return bool(self.client.call("file_seekable", self.fd))

    def writable(self) -> bool:
        """True when the file was opened for writing."""
        return bool(self.client.call("file_writable", self.fd))


@dataclass(kw_only=True)
class OpendalClient(DriverClient):
    """Files and directories of a storage on the exporter. A path that ends with a slash is a directory."""

    def write_bytes(self, path: PathBuf, data: bytes) -> None:
        """Write *data* to the file *path*, in place of what is there."""
        with self.open(path, "wb") as file:
            file.write_bytes(data)

    def read_bytes(self, path: PathBuf) -> bytes:
        """The content of the file *path*."""
        with self.open(path, "rb") as file:
            return file.read_bytes()

    def write_from_path(self, dst: PathBuf, src: PathBuf, operator: Any = None) -> None:
        """Write the content of *src* to the file *dst*; *src* as of `OpendalFile.write_from_path`.

        When that fails, *dst* is as it was, or not there if it is new.
        """
        # The source first: a typo in it must leave the target alone.
        with sending(self, src, operator=operator) as handle, self.open(dst, "wb") as file:
            self.call("file_write", file.fd, handle)

    def read_into_path(self, src: PathBuf, dst: PathBuf, operator: Any = None) -> None:
        """Read the file *src* into *dst*: a local file, or a path in *operator*."""
        size = self.stat(src).content_length
        with self.open(src, "rb") as file:
            file._read_into(dst, operator, size)

    def open(self, path: PathBuf, mode: Literal["rb", "wb"]) -> OpendalFile:
        """Open the file *path* for reading or writing."""
        return OpendalFile(client=self, fd=UUID(self.call("open", os.fspath(path), mode)))

    def stat(self, path: PathBuf) -> Metadata:
        """What the storage knows of *path*."""
        from .common import Metadata

        return Metadata.model_validate(self.call("stat", os.fspath(path)))

    def hash(self, path: PathBuf, algo: Literal["md5", "sha256"] = "sha256") -> str:
        """The digest of the file's content, in hexadecimal; made on the exporter."""
        return str(self.call("hash", os.fspath(path), algo))

    def copy(self, source: PathBuf, target: PathBuf) -> None:
        """Copy the file *source* to *target*."""
        self.call("copy", os.fspath(source), os.fspath(target))

    def rename(self, source: PathBuf, target: PathBuf) -> None:
        """Move the file *source* to *target*."""
        self.call("rename", os.fspath(source), os.fspath(target))

    def remove_all(self, path: PathBuf) -> None:
        """Remove *path* and everything below it; for the whole storage it is ``/``. Raises ArgumentError for an empty one."""
        self.call("remove_all", _named(path))

    def create_dir(self, path: PathBuf) -> None:
        """Create the directory *path*, which ends with a slash, and those above it where missing."""
        self.call("create_dir", os.fspath(path))

    def delete(self, path: PathBuf) -> None:
        """Delete the file or empty directory *path*; nothing happens when there is none.

        Raises ArgumentError for an empty path.
        """
        self.call("delete", _named(path))

    def exists(self, path: PathBuf) -> bool:
        """True when there is an entry *path*."""
        return bool(self.call("exists", os.fspath(path)))

    def list(self, path: PathBuf) -> Generator[str, None, None]:
        """Yield the paths of the directory *path*, which ends with a slash, and of the entries in it."""
        yield from self.streamingcall("list", os.fspath(path))

    def scan(self, path: PathBuf) -> Generator[str, None, None]:
        """Yield the paths of the directory *path*, which ends with a slash, and of all entries below it."""
        yield from self.streamingcall("scan", os.fspath(path))

    def presign_stat(self, path: PathBuf, expire_second: int) -> PresignedRequest:
        """A HEAD request for *path* that anyone may make for *expire_second* seconds."""
        return self._presign("presign_stat", path, expire_second)

    def presign_read(self, path: PathBuf, expire_second: int) -> PresignedRequest:
        """A GET request for *path* that anyone may make for *expire_second* seconds."""
        return self._presign("presign_read", path, expire_second)

    def presign_write(self, path: PathBuf, expire_second: int) -> PresignedRequest:
        """A PUT request for *path* that anyone may make for *expire_second* seconds."""
        return self._presign("presign_write", path, expire_second)

    def _presign(self, method: str, path: PathBuf, expire_second: int) -> PresignedRequest:
        from .common import PresignedRequest

        return PresignedRequest.model_validate(self.call(method, os.fspath(path), expire_second))

    def capability(self) -> Capability:
        """What the storage can do."""
        from .common import Capability

        return Capability.model_validate(self.call("capability"))

    def get_created_resources(self) -> set[str]:
        """The paths that clients created in this session and that were not there before."""
        return set(self.call("get_created_resources"))

    def cli(self) -> click.Group:
        """The ``j`` commands: one for each method."""
        from .commands import opendal_commands

        return opendal_commands(self)
