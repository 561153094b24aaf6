"""The storage of an emulated board: what was flashed, what the configuration gives, and what the guest wrote.

A partition's content is what was flashed last, else the file of ``default_partitions``. Rules that hold:

- Files of the configuration are never written. A root disk of the configuration gets an overlay for what the
  guest writes; both live until the board is closed or flashed anew.
- A flashed image becomes the partition's content when it has arrived whole, or not at all.
- The format of an image is decided when it arrives and told to QEMU: a guest cannot make its raw disk another
  format.
- A flashed image that refers to other files is refused: it would let its sender read the exporter's files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jumpstarter.common.exceptions import ConfigurationError, DriverError, DriverInvalidArgument
from jumpstarter.common.suggestions import did_you_mean

PARTITIONS = ("root", "bios", "OVMF_CODE.fd", "OVMF_VARS.fd", "kernel", "initrd")
_CHUNK = 1 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class Disk:
    """A disk image as QEMU opens it; `format` is raw or qcow2."""

    path: Path
    format: str = "raw"
    readonly: bool = False

    def options(self) -> str:
        """The image as options of QEMU's ``-drive``."""
        path = str(self.path).replace(",", ",,")
        return f"format={self.format},readonly={'on' if self.readonly else 'off'},file={path}"


def partition_name(name: str) -> str:
    """The partition's own spelling of *name*; case, ``-`` for ``_`` and a missing ``.fd`` do not matter.

    Raises DriverInvalidArgument when there is no such partition.
    """
    for known in PARTITIONS:
        if _plain(known) == _plain(name):
            return known
    hint = did_you_mean(name, PARTITIONS)
    raise DriverInvalidArgument(f"no partition {name!r}, expected one of {', '.join(PARTITIONS)}{hint}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").removesuffix(".fd")


def parse_size(text: str, what: str) -> int:
    """Bytes of a size such as ``512M``, ``20G``, ``1GiB`` or a number of bytes; units are powers of 1024.

    Raises DriverInvalidArgument, which names *what*.
    """
    match = re.fullmatch(r"\s*(\d+)\s*([KMGT]?)(?:i?B)?\s*", str(text), re.IGNORECASE)
    if match is None or int(match[1]) == 0:
        raise DriverInvalidArgument(f"{what}: found {text!r}, expected a size such as 512M or 20G")
    return int(match[1]) * _UNITS[match[2].upper()]


class Storage:
    """The partitions of one board. *folder* is the board's own and is removed by its owner."""

    def __init__(self, folder: Path, defaults: Mapping[str, Path]) -> None:
        self._folder = folder
        self._defaults = dict(defaults)
        # Formats of the disks in the folder, by partition: decided once, see the module's text.
        self._formats: dict[str, str] = {}
        self._root_is_void = False

    # --- flashing and dumping ---

    def flash(
        self, partition: str, chunks: Iterable[bytes], progress: Callable[[], None] | None = None
    ) -> int:
        """Take *chunks* as the new content of *partition*; returns the number of bytes.

        *progress* is called after each chunk and may raise to end the transfer. Raises DriverError when the
        image is not acceptable; the partition then keeps what it had.
        """
        arriving = self._folder / f"{partition}.arriving"
        try:
            with arriving.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    if progress is not None:
                        progress()
                size = file.tell()
            if not size:
                raise DriverInvalidArgument(f"the image for {partition} is empty")
            image_format = _checked_format(arriving) if partition == "root" else "raw"
            arriving.replace(self._flashed(partition))
        finally:
            arriving.unlink(missing_ok=True)
        self._formats[partition] = image_format
        self._root_is_void = self._root_is_void and partition != "root"
        self._overlay(partition).unlink(missing_ok=True)
        return size

    def dump(self, partition: str) -> Iterator[bytes]:
        """The content of *partition*, with what the guest wrote. Raises DriverError when there is none."""
        overlay = self._overlay(partition)
        source = self.path(partition)
        if overlay.exists():
            merged = self._folder / f"{partition}.merged"
            try:
                _qemu_img("convert", "-f", "qcow2", "-O", _format_of(source), str(overlay), str(merged))
                yield from _read(merged)
            finally:
                merged.unlink(missing_ok=True)
        else:
            yield from _read(source)

    # --- what QEMU gets ---

    def find(self, partition: str) -> Path | None:
        """The file with the content of *partition*, without the guest's changes; None when there is none.

        Raises ConfigurationError when the configuration names a file that does not exist.
        """
        flashed = self._flashed(partition)
        if flashed.exists():
            return flashed
        default = self._defaults.get(partition)
        if default is not None and not default.is_file():
            raise ConfigurationError(
                f"default_partitions.{partition}: no file {default}; correct the path or flash the partition"
            )
        return default

    def path(self, partition: str) -> Path:
        """Like `find`. Raises DriverError when there is no content."""
        path = self.find(partition)
        if path is None:
            raise DriverError(
                f"partition {partition!r} has no content; flash it or set default_partitions.{partition}"
            )
        return path

    @property
    def has_root_image(self) -> bool:
        """Whether the root disk came from somewhere, as opposed to a void one."""
        return self.find("root") is not None and not self._root_is_void

    def root(self, size: int | None) -> Disk | None:
        """The board's disk, grown to *size* bytes when that is given; None when the board has none.

        Raises DriverError when the disk is larger than *size*.
        """
        source = self.find("root")
        if source is None:
            if size is None:
                return None
            source = self._flashed("root")
            with source.open("wb") as file:
                os.truncate(file.fileno(), size)
            self._formats["root"] = "raw"
            self._root_is_void = True
        disk = self._writable_root(source)
        if size is not None:
            _grow(disk, size)
        return disk

    def flash_memory(self) -> list[Disk]:
        """UEFI's code and variables, as QEMU's two flash devices; void when the board has none."""
        code = self.find("OVMF_CODE.fd")
        if code is None:
            return []
        variables = self.find("OVMF_VARS.fd")
        disks = [Disk(code, readonly=True)]
        if variables is not None:
            own = self._flashed("OVMF_VARS.fd")
            if variables != own:
                shutil.copyfile(variables, own)
            disks.append(Disk(own))
        return disks

    # --- inside ---

    def _flashed(self, partition: str) -> Path:
        return self._folder / f"{partition}.image"

    def _overlay(self, partition: str) -> Path:
        return self._folder / f"{partition}.overlay"

    def _writable_root(self, source: Path) -> Disk:
        if source == self._flashed("root"):
            return Disk(source, self._formats["root"])
        overlay = self._overlay("root")
        if not overlay.exists():
            made = self._folder / "root.overlay.new"
            base = ["-b", str(source.absolute()), "-F", _format_of(source)]
            _qemu_img("create", "-q", "-f", "qcow2", *base, str(made))
            made.replace(overlay)
        return Disk(overlay, "qcow2")


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _checked_format(image: Path) -> str:
    information = _information(image)
    details = information.get("format-specific", {}).get("data", {})
    reference = information.get("backing-filename") or details.get("data-file")
    if reference:
        raise DriverInvalidArgument(
            f"the image refers to another file, {reference!r}; "
            "flash one that is complete in itself (qemu-img convert makes it)"
        )
    return _supported(information)


def _format_of(image: Path) -> str:
    return _supported(_information(image))


def _supported(information: Mapping[str, Any]) -> str:
    found = str(information.get("format"))
    if found not in {"raw", "qcow2"}:
        raise DriverInvalidArgument(
            f"the image is of format {found}, expected raw or qcow2; convert it with qemu-img"
        )
    return found


def _grow(disk: Disk, size: int) -> None:
    current = int(_information(disk.path, disk.format)["virtual-size"])
    if size < current:
        raise DriverError(
            f"disk_size is {size} bytes and the image in partition 'root' has {current}; "
            "a disk cannot shrink, set a larger disk_size"
        )
    if size > current:
        _qemu_img("resize", "-q", "-f", disk.format, str(disk.path), str(size))


def _information(image: Path, image_format: str | None = None) -> dict[str, Any]:
    chosen = ["-f", image_format] if image_format else []
    result: dict[str, Any] = json.loads(_qemu_img("info", "-U", "--output=json", *chosen, str(image)))
    return result


def _qemu_img(*arguments: str) -> str:
    from .process import install_hint

    try:
        done = subprocess.run(
            ["qemu-img", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ConfigurationError(
            f"cannot run qemu-img: {error.strerror}; {install_hint('qemu-img')}"
        ) from error
    if done.returncode:
        raise DriverError(f"qemu-img {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
