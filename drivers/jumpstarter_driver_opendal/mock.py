"""Storage devices that exist in temporary files only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

from jumpstarter.driver import Driver, export
from jumpstarter.driver.images import image_chunks

from .interfaces import FlasherInterface, StorageMuxFlasherInterface, StorageMuxInterface

__all__ = ["MockFlasher", "MockStorageMux", "MockStorageMuxFlasher"]

_CHUNK = 1 << 20


def _store(driver: Driver, handle: Any, path: Path) -> int:
    """Write the resource *handle* to *path*, in place of what is there; the number of bytes."""
    with driver.resource_blocking(handle) as stream:
        chunks = image_chunks(stream)
        return _write(chunks, path)


def _write(chunks: Iterable[bytes], path: Path) -> int:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        return file.tell()


def _load(driver: Driver, handle: Any, path: Path) -> int:
    """Send the content of *path* to the resource *handle*; the number of bytes."""
    with driver.resource_blocking(handle) as stream, path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            stream.write(chunk)
        return file.tell()


@dataclass(kw_only=True)
class MockFlasher(FlasherInterface, Driver):
    """A device whose partitions are temporary files; it is empty when the exporter starts."""

    _directory: TemporaryDirectory[str] | None = field(default=None, init=False, repr=False)
    _images: dict[str | None, Path] = field(default_factory=dict, init=False, repr=False)

    @export
    def flash(self, source: Any, target: str | None = None) -> None:
        """Write the resource *source* to the partition *target*, or to the device's only one."""
        size = _store(self, source, self._image(target))
        self.logger.info("flashed %d bytes to %s", size, target or "the device")

    @export
    def dump(self, target: Any, partition: str | None = None) -> None:
        """Read *partition* into the resource *target*. Raises ValueError when it was never flashed."""
        if partition not in self._images:
            flashed = ", ".join(repr(name or "(the device)") for name in self._images) or "nothing"
            raise ValueError(
                f"no image of {partition or 'the device'}: it was never flashed; these were: {flashed}"
            )
        size = _load(self, target, self._images[partition])
        self.logger.info("dumped %d bytes of %s", size, partition or "the device")

    def _image(self, partition: str | None) -> Path:
        if self._directory is None:
            self._directory = TemporaryDirectory(prefix="jumpstarter-flasher-")
        # Numbered, because a partition's name is the client's and could be a path.
        return self._images.setdefault(partition, Path(self._directory.name) / f"{len(self._images)}.img")

    def close(self) -> None:
        """Forget the images."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
            self._images.clear()
        super().close()


@dataclass(kw_only=True)
class MockStorageMux(StorageMuxInterface, Driver):
    """A medium in a temporary file; `file` may name one to use instead (an object with a `name`)."""

    file: Any = None
    _own: Any = field(default=None, init=False, repr=False)

    @export
    def host(self) -> None:
        """Connect the medium to the exporter's host."""
        self.logger.info("storage connected to host")

    @export
    def dut(self) -> None:
        """Connect the medium to the DUT."""
        self.logger.info("storage connected to DUT")

    @export
    def off(self) -> None:
        """Disconnect the medium from both."""
        self.logger.info("storage disconnected")

    @export
    def write(self, src: Any) -> None:
        """Write the resource with the handle *src* to the medium, in place of what it holds."""
        size = _store(self, src, self._medium())
        self.logger.info("wrote %d bytes", size)

    @export
    def read(self, dst: Any) -> None:
        """Read the whole medium into the resource with the handle *dst*."""
        size = _load(self, dst, self._medium())
        self.logger.info("read %d bytes", size)

    def _medium(self) -> Path:
        if self.file is not None:
            return Path(getattr(self.file, "name", self.file))
        if self._own is None:
            self._own = NamedTemporaryFile(prefix="jumpstarter-storage-")  # noqa: SIM115  # lives until close()
        return Path(self._own.name)

    def close(self) -> None:
        """Remove the medium."""
        if self._own is not None:
            self._own.close()
            self._own = None
        super().close()


@dataclass(kw_only=True)
class MockStorageMuxFlasher(StorageMuxFlasherInterface, MockStorageMux):
    """`MockStorageMux` that clients can flash and dump."""
