"""Clients of drivers that write images to a device."""

from __future__ import annotations

import os
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import click

from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.common.images import AS_IT_IS
from jumpstarter.common.webaddress import is_url, redact

from .base import DriverClient
from .decorators import driver_click_group
from .transfer import PathBuf, receiving, sending

__all__ = ["COMPRESSIONS", "FlasherClient", "FlasherClientInterface", "PathBuf"]

COMPRESSIONS = ("gzip", "xz", "bz2", "zstd")
IMAGE_COMPRESSIONS = (*COMPRESSIONS, AS_IT_IS)
_DONE = "ok"


class FlasherClientInterface(metaclass=ABCMeta):
    """Writes images to a device and reads them back."""

    @abstractmethod
    def flash(self, path: Any, *, target: str | None = None, compression: Any = None) -> Any:
        """Write the image at *path* to the device, or to its partition *target*."""

    @abstractmethod
    def dump(self, path: PathBuf, *, target: str | None = None, compression: Any = None) -> Any:
        """Read the device, or its partition *target*, into the file *path*."""


@dataclass(kw_only=True)
class FlasherClient(FlasherClientInterface, DriverClient):
    """Writes images to a device, or to its partitions, and reads them back."""

    def flash(
        self,
        path: PathBuf | Mapping[str, PathBuf],
        *,
        target: str | None = None,
        operator: Any = None,
        compression: Any = None,
    ) -> None:
        """Write the image *path* to the device, or to its partition *target*.

        *path* is a local file, an ``http(s)://`` address that the exporter can reach, or a path in the
        OpenDAL *operator*; a mapping of partition to path writes several partitions, in its order
        (*operator* may map too). *compression* (gzip, xz, bz2, zstd) is that of the image; the device gets
        it decompressed. Without it, what name and first bytes of the image say counts; ``none`` has it written as it is.

        Raises `FileNotFoundError` when the local file does not exist, `ArgumentError` for a mapping with a
        target, an image that is empty, and one whose compression is not certain.
        """
        if not isinstance(path, Mapping):
            self._flash_one(path, target, operator, compression)
            return
        if target is not None:
            raise ArgumentError(
                f"flash: target {target!r} was given beside a mapping, whose keys are the targets"
            )
        for partition, image in path.items():
            one = operator.get(partition) if isinstance(operator, Mapping) else operator
            self._flash_one(image, partition, one, compression)

    def _flash_one(self, path: PathBuf, target: str | None, operator: Any, compression: Any) -> None:
        with self.image(path, operator, compression) as handle:
            self.call("flash", handle, target)

    def dump(
        self, path: PathBuf, *, target: str | None = None, operator: Any = None, compression: Any = None
    ) -> None:
        """Read the device, or its partition *target*, into *path*: a local file or a path in *operator*.

        *compression* (gzip, xz, bz2, zstd) is what the written file gets. Raises `FileAccessError` when the
        local file cannot be written.
        """
        with self.destination(path, operator, compression) as handle:
            self.call("dump", handle, target)

    def image(self, path: PathBuf, operator: Any, compression: Any) -> AbstractContextManager[Any]:
        """A handle for the image *path*. Raises ArgumentError for an *operator*: this driver takes files and URLs."""
        return sending(self, _without(operator, path), compression, image=True)

    def destination(self, path: PathBuf, operator: Any, compression: Any) -> AbstractContextManager[Any]:
        """A handle to write the file *path*. Raises ArgumentError for an *operator*: this driver writes files."""
        return receiving(self, _without(operator, path), compression)

    def cli(self) -> click.Group:
        """The ``j`` commands: flash, dump."""

        @driver_click_group(self)
        def base() -> None:
            """Software-defined flasher interface"""

        _add_flashing(base, self)
        return base


def _without(operator: Any, path: PathBuf) -> PathBuf:
    if operator is not None:
        shown = redact(os.fspath(path)) if is_url(path) else repr(os.fspath(path))
        raise ArgumentError(f"{shown}: this driver takes local files and URLs only, no operator")
    return path


def _partition(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for value in values:
        name, separator, path = value.partition(":")
        if not name or not separator or not path:
            raise click.BadParameter(f"{value!r} is not of the form name:file, such as rootfs:rootfs.img")
        found[name] = path
    return found


def _add_flashing(base: click.Group, client: FlasherClient) -> None:
    compression = click.option(
        "--compression", type=click.Choice(COMPRESSIONS), help="Compression of the image file."
    )
    image_compression = click.option(
        "--compression",
        type=click.Choice(IMAGE_COMPRESSIONS),
        help="Compression of the image file, which the device gets decompressed; none: write it as it is. "
        "Default: what the image's name and first bytes tell.",
    )
    target = click.option("--target", metavar="NAME", help="Partition or block device of the DUT.")

    @base.command()
    @click.argument("file", required=False)
    @click.option(
        "-t",
        "partitions",
        multiple=True,
        metavar="NAME:FILE",
        callback=_partition,
        help="Partition and its image; may be given several times.",
    )
    @target
    @image_compression
    def flash(
        file: str | None, partitions: dict[str, str], target: str | None, compression: str | None
    ) -> None:
        """Flash image to DUT from file

        FILE is a local file, or an http(s):// address that the exporter can reach.
        """
        if (file is None) == (not partitions):
            raise click.UsageError("give either FILE, or one or more -t NAME:FILE")
        client.flash(partitions or os.fspath(file or ""), target=target, compression=compression)
        click.echo(_DONE)

    @base.command()
    @click.argument("file", type=click.Path(dir_okay=False))
    @target
    @compression
    def dump(file: str, target: str | None, compression: str | None) -> None:
        """Dump image of DUT to file"""
        client.dump(file, target=target, compression=compression)
        click.echo(_DONE)
