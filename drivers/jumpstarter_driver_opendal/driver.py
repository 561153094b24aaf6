"""Drivers of storage: `Opendal` for every service of the OpenDAL library, and mock devices.

All methods but `presign_*` are plain functions on a worker thread over OpenDAL's blocking interface: a chunk
of an upload goes from the network to the file without passing through an event loop.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.driver import Driver, export

from .errors import import_opendal, one_line, opendal_errors, storage_errors
from .files import OpenFile, part_of, settings_of
from .interfaces import FlasherInterface, StorageMuxFlasherInterface, StorageMuxInterface
from .kinds import HashAlgo, Mode
from .mock import MockFlasher, MockStorageMux, MockStorageMuxFlasher
from .paths import Root

if TYPE_CHECKING:
    # Imported where they are made: an exporter that waits can do without the library that they are built on.
    from .common import Capability, Metadata, PresignedRequest

__all__ = [
    "FlasherInterface",
    "MockFlasher",
    "MockStorageMux",
    "MockStorageMuxFlasher",
    "Opendal",
    "StorageMuxFlasherInterface",
    "StorageMuxInterface",
]

_CHUNK = 1 << 20


@dataclass(kw_only=True)
class Opendal(Driver):
    """A storage that the OpenDAL library reaches.

    `scheme` names the service (``fs``, ``memory``, ``s3``, ...), `kwargs` its settings, as in
    https://docs.rs/opendal/latest/opendal/services/index.html. With `remove_created_on_close` the files and
    directories that clients created are removed when the session ends. Clients' paths stay below the root: `..` is
    refused, and so are symbolic links that lead out of an ``fs`` root, unless `follow_links` allows them.
    """

    scheme: str
    kwargs: dict[str, str]
    remove_created_on_close: bool = False
    follow_links: bool = False

    _operator: Any = field(init=False, repr=False)
    _root: Root = field(init=False, repr=False)
    _files: dict[UUID, OpenFile] = field(default_factory=dict, init=False, repr=False)
    _created_paths: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        opendal = import_opendal()
        settings = settings_of(self.kwargs)
        self._root = Root.of(self.scheme, settings, follow_links=self.follow_links)
        try:
            self._operator = opendal.Operator(self.scheme, **settings)
        except opendal_errors() as error:
            raise ConfigurationError(
                f"Opendal: scheme {self.scheme!r} with kwargs {sorted(self.kwargs)}: {one_line(error)}; "
                "settings are listed at https://docs.rs/opendal/latest/opendal/services/index.html"
            ) from None  # its text is in the message; the rest is a backtrace of the library

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_opendal.client.OpendalClient"

    # Open files

    @export
    def open(self, path: str, mode: Mode) -> UUID:
        """Open *path* for reading (``rb``) or writing (``wb``); the number that the file methods want."""
        self._root.checked(path)
        is_new = mode == "wb" and not self._exists(path)
        # Without it OpenDAL writes local files in pieces of 256 KiB, which costs a tenth of the speed.
        options = {"chunk": _CHUNK} if mode == "wb" and self.scheme == "fs" else {}
        part = part_of(self._root.folder, path) if mode == "wb" and not is_new else None
        with storage_errors(f"open {path!r}"):
            file = self._operator.open(part.path if part else path, mode, **options)
        if is_new:
            self._created_paths.add(path)
        number = uuid4()
        self._files[number] = OpenFile(path, mode, file, is_new, part)
        return number

    @export
    def file_read(self, fd: UUID, dst: Any) -> None:
        """Send the rest of the file to the resource with the handle *dst*."""
        opened = self._open_file(fd)
        with self.resource_blocking(dst) as stream, storage_errors(f"read {opened.path!r}"):
            while chunk := opened.file.read(_CHUNK):
                stream.write(chunk)

    @export
    def file_write(self, fd: UUID, src: Any) -> None:
        """Write the resource with the handle *src* to the file.

        When that fails half-way, the file is closed, and removed if `open` created it: what is left would
        look like a whole file, and would keep a full disk full. A file that was there keeps its content, where the storage is a
        file system.
        """
        opened = self._open_file(fd)
        try:
            with self.resource_blocking(src) as stream, storage_errors(f"write {opened.path!r}"):
                for chunk in stream:
                    opened.file.write(chunk)
        except BaseException:
            self._abandon(fd, opened)
            raise

    @export
    def file_close(self, fd: UUID) -> None:
        """Close the file; nothing happens when it is closed."""
        opened = self._files.pop(fd, None)
        if opened is None:
            return
        try:
            with storage_errors(f"write {opened.path!r}"):
                opened.close()
                if opened.part is not None:
                    opened.part.commit()
        except BaseException:
            self._remove_part(opened)
            raise

    @export
    def file_closed(self, fd: UUID) -> bool:
        """True when the file is closed."""
        return fd not in self._files

    @export
    def file_seek(self, fd: UUID, pos: int, whence: int = 0) -> int:
        """Move to *pos* bytes from the start (0), the position (1) or the end (2); the new position."""
        opened = self._open_file(fd)
        with storage_errors(f"seek in {opened.path!r}"):
            return int(opened.file.seek(pos, whence))

    @export
    def file_tell(self, fd: UUID) -> int:
        """The position in bytes."""
        opened = self._open_file(fd)
        with storage_errors(f"position in {opened.path!r}"):
            return int(opened.file.tell())

    @export
    def file_readable(self, fd: UUID) -> bool:
        """True when the file was opened for reading."""
        return bool(self._open_file(fd).file.readable())

    @export
    def file_seekable(self, fd: UUID) -> bool:
        """True when `file_seek` works."""
        return bool(self._open_file(fd).file.seekable())

    @export
    def file_writable(self, fd: UUID) -> bool:
        """True when the file was opened for writing."""
        return bool(self._open_file(fd).file.writable())

    def _open_file(self, fd: UUID) -> OpenFile:
        try:
            return self._files[fd]
        except KeyError:
            raise ValueError(
                f"no open file {fd}: it was closed, or its transfer failed; open it again"
            ) from None

    def _abandon(self, fd: UUID, opened: OpenFile) -> None:
        self._files.pop(fd, None)
        self._close_quietly(opened)
        self._remove_part(opened)

    def _close_quietly(self, opened: OpenFile) -> None:
        # Its failure is being reported already, or its client has gone: a second error has no reader.
        with suppress(OSError, NotImplementedError), storage_errors("close"):
            opened.close()
        if opened.part is not None:
            opened.part.discard()

    def _remove_part(self, opened: OpenFile) -> None:
        if opened.part is not None:
            opened.part.discard()
        if opened.is_new:
            with suppress(OSError, NotImplementedError), storage_errors("remove"):
                self._operator.delete(opened.path)
                self._created_paths.discard(opened.path)

    # Entries

    @export
    def stat(self, path: str) -> Metadata:
        """What the storage knows of *path*. Raises FileNotFoundError when there is no such entry."""
        self._root.checked(path)
        with storage_errors(f"stat {path!r}"):
            found = self._operator.stat(path)
        from .common import EntryMode, Metadata

        return Metadata(
            content_disposition=found.content_disposition,
            content_length=found.content_length,
            content_md5=found.content_md5,
            content_type=found.content_type,
            etag=found.etag,
            mode=EntryMode(entry_is_file=found.mode.is_file(), entry_is_dir=found.mode.is_dir()),
        )

    @export
    def hash(self, path: str, algo: HashAlgo = "sha256") -> str:
        """The digest of the file's content, in hexadecimal."""
        self._root.checked(path)
        import hashlib

        digest = hashlib.new(algo, usedforsecurity=False)
        with storage_errors(f"read {path!r}"), self._operator.open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    @export
    def copy(self, source: str, target: str) -> None:
        """Copy the file *source* to *target*, in place of what is there."""
        self._root.named(source)
        self._root.named(target)
        is_new = not self._exists(target)
        with storage_errors(f"copy {source!r} to {target!r}"):
            self._operator.copy(source, target)
        if is_new:
            self._created_paths.add(target)

    @export
    def rename(self, source: str, target: str) -> None:
        """Move the file *source* to *target*, in place of what is there."""
        self._root.named(source)
        self._root.named(target)
        with storage_errors(f"rename {source!r} to {target!r}"):
            self._operator.rename(source, target)
        if source in self._created_paths:
            self._created_paths.discard(source)
            self._created_paths.add(target)

    @export
    def remove_all(self, path: str) -> None:
        """Remove *path* and everything below it; nothing happens when there is nothing."""
        self._root.named(path)
        with storage_errors(f"remove {path!r}"):
            self._operator.remove_all(path)
        prefix = path.rstrip("/") + "/"
        self._created_paths = {
            one for one in self._created_paths if one != path and not one.startswith(prefix)
        }

    @export
    def create_dir(self, path: str) -> None:
        """Create the directory *path*, which ends with a slash, and those above it."""
        self._root.named(path)
        is_new = not self._exists(path)
        with storage_errors(f"create directory {path!r}"):
            self._operator.create_dir(path)
        if is_new:
            self._created_paths.add(path)

    @export
    def delete(self, path: str) -> None:
        """Delete the file or empty directory *path*; nothing happens when there is none."""
        self._root.named(path)
        with storage_errors(f"delete {path!r}"):
            self._operator.delete(path)
        self._created_paths.discard(path)

    @export
    def exists(self, path: str) -> bool:
        """True when there is an entry *path*."""
        self._root.checked(path)
        return self._exists(path)

    def _exists(self, path: str) -> bool:
        with storage_errors(f"look for {path!r}"):
            return bool(self._operator.exists(path))

    @export
    def list(self, path: str) -> Generator[str, None, None]:
        """Yield the paths of the directory *path*, which ends with a slash, and of the entries in it."""
        self._root.checked(path)
        with storage_errors(f"list {path!r}"):
            for entry in self._operator.list(path):
                yield entry.path

    @export
    def scan(self, path: str) -> Generator[str, None, None]:
        """Yield the paths of the directory *path*, which ends with a slash, and of all entries below it."""
        self._root.checked(path)
        with storage_errors(f"scan {path!r}"):
            for entry in self._operator.list(path, recursive=True):
                yield entry.path

    # Presigned requests: OpenDAL offers them on a running event loop only.

    @export
    async def presign_stat(self, path: str, expire_second: int) -> PresignedRequest:
        """A HEAD request for *path* that anyone may make for *expire_second* seconds."""
        self._root.checked(path)
        with storage_errors(f"presign {path!r}"):
            return _presigned(await self._operator.to_async_operator().presign_stat(path, expire_second))

    @export
    async def presign_read(self, path: str, expire_second: int) -> PresignedRequest:
        """A GET request for *path* that anyone may make for *expire_second* seconds."""
        self._root.checked(path)
        with storage_errors(f"presign {path!r}"):
            return _presigned(await self._operator.to_async_operator().presign_read(path, expire_second))

    @export
    async def presign_write(self, path: str, expire_second: int) -> PresignedRequest:
        """A PUT request for *path* that anyone may make for *expire_second* seconds."""
        self._root.checked(path)
        with storage_errors(f"presign {path!r}"):
            return _presigned(await self._operator.to_async_operator().presign_write(path, expire_second))

    @export
    def capability(self) -> Capability:
        """What the storage can do."""
        from .common import Capability

        told = self._operator.capability()
        names = {name: getattr(told, name) for name in Capability.__dataclass_fields__ if hasattr(told, name)}
        # Newer OpenDAL has no such flag: its blocking interface works for every service.
        return Capability(**{"blocking": True, **names})

    # What clients created

    @export
    def register_path(self, path: str) -> None:
        """Count *path* as created by the client."""
        self._root.named(path)
        self._created_paths.add(path)

    @export
    def get_created_resources(self) -> set[str]:
        """The paths that clients created and that were not there before."""
        return set(self._created_paths)

    def reset(self) -> None:
        """Close what a client left open."""
        self._close_files()
        super().reset()

    def close(self) -> None:
        """Close what is open; with `remove_created_on_close` remove what clients created."""
        self._close_files()
        if self.remove_created_on_close:
            self._remove_created()
        super().close()

    def _close_files(self) -> None:
        while self._files:
            self._close_quietly(self._files.popitem()[1])

    def _remove_created(self) -> None:
        for path in sorted(self._created_paths, key=len, reverse=True):
            try:
                self._remove_entry(path)
            except (OSError, NotImplementedError, ValueError) as error:
                self.logger.warning("left behind: %s", error)
        self._created_paths.clear()

    def _remove_entry(self, path: str) -> None:
        self._root.checked(path)  # again: a link may have come since
        with storage_errors(f"remove {path!r}"):
            # Only with the slash: without it object stores take the path as a prefix of names.
            if (
                not path.endswith("/")
                and self._operator.exists(path)
                and self._operator.stat(path).mode.is_dir()
            ):
                path += "/"
            if path.endswith("/"):
                self._operator.remove_all(path)
            else:
                self._operator.delete(path)


def _presigned(request: Any) -> PresignedRequest:
    from .common import PresignedRequest

    return PresignedRequest(url=request.url, method=request.method, headers=dict(request.headers))
