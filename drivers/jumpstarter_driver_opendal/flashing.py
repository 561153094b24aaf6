"""Clients of devices that take whole images: flashers and storage multiplexers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.client.flasher import FlasherClient as CoreFlasherClient
from jumpstarter.common.exceptions import ArgumentError

from .transfer import PathBuf, receiving, sending

__all__ = ["FlasherClient", "StorageMuxClient", "StorageMuxFlasherClient"]

_DONE = "ok"


@dataclass(kw_only=True)
class FlasherClient(CoreFlasherClient):
    """Writes images to a device, or to its partitions, and reads them back; also from and to OpenDAL storage."""

    def image(self, path: PathBuf, operator: Any, compression: Any) -> AbstractContextManager[Any]:
        """A handle for the image *path*."""
        return sending(self, path, operator=operator, compression=compression, image=True)

    def destination(self, path: PathBuf, operator: Any, compression: Any) -> AbstractContextManager[Any]:
        """A handle to write *path*."""
        return receiving(self, path, operator=operator, compression=compression)

    def _should_upload_file(
        self, storage: Any, filename: str, src_path: PathBuf, src_operator: Any, operator_scheme: str = "fs"
    ) -> bool:
        """Whether *filename* in *storage*, an `OpendalClient`, differs from the file *src_path*; flashers of others ask this.

        What is not a local file counts as different: to compare it takes as long as to send it.
        """
        if operator_scheme != "fs" or not storage.exists(filename):
            return True
        with open(src_path, "rb") as file:
            return bool(storage.hash(filename, "sha256") != hashlib.file_digest(file, "sha256").hexdigest())


@dataclass(kw_only=True)
class StorageMuxClient(DriverClient):
    """Connects a medium to the exporter's host or to the DUT, and writes and reads it."""

    def host(self) -> None:
        """Connect the medium to the exporter's host."""
        self.call("host")

    def dut(self) -> None:
        """Connect the medium to the DUT."""
        self.call("dut")

    def off(self) -> None:
        """Disconnect the medium from both."""
        self.call("off")

    def write(self, handle: Any) -> None:
        """Write the resource *handle* to the medium."""
        self.call("write", handle)

    def read(self, handle: Any) -> None:
        """Read the medium into the resource *handle*."""
        self.call("read", handle)

    def write_file(self, operator: Any, path: str) -> None:
        """Write the content of *path* in the OpenDAL *operator* to the medium."""
        with sending(self, path, operator=operator, image=True) as handle:
            self.write(handle)

    def read_file(self, operator: Any, path: str) -> None:
        """Read the medium into *path* in the OpenDAL *operator*."""
        with receiving(self, path, operator=operator) as handle:
            self.read(handle)

    def write_local_file(self, filepath: PathBuf) -> None:
        """Write the content of the local file *filepath* to the medium."""
        with sending(self, filepath, image=True) as handle:
            self.write(handle)

    def read_local_file(self, filepath: PathBuf) -> None:
        """Read the medium into the local file *filepath*."""
        with receiving(self, filepath) as handle:
            self.read(handle)

    def cli(self, base: click.Group | None = None) -> click.Group:
        """The ``j`` commands host, dut, off, write-local-file, read-local-file; added to *base* if given."""
        if base is None:

            @driver_click_group(self)
            def group() -> None:
                """Generic storage mux"""

            base = group
        _add_mux(base, self)
        return base


@dataclass(kw_only=True)
class StorageMuxFlasherClient(FlasherClient, StorageMuxClient):
    """A storage multiplexer that is flashed and dumped like a device.

    The medium is connected to the host for that. After a success it is connected to the DUT; after a
    failure it stays with the host, so that a DUT never sees half an image.
    """

    def flash(
        self,
        path: PathBuf | Mapping[str, PathBuf],
        *,
        target: str | None = None,
        operator: Any = None,
        compression: Any = None,
    ) -> None:
        """Write the image *path* to the medium; arguments as of `FlasherClient.flash`.

        Raises `ArgumentError` for a target or a mapping: a medium is written as a whole.
        """
        if target is not None or isinstance(path, Mapping):
            what = "a mapping" if target is None else f"target {target!r}"
            raise ArgumentError(
                f"flash: {what} was given, and this medium is written as a whole; give one image"
            )
        with sending(self, path, operator=operator, compression=compression, image=True) as handle:
            self.host()
            self.write(handle)
        self.dut()

    def dump(
        self, path: PathBuf, *, target: str | None = None, operator: Any = None, compression: Any = None
    ) -> None:
        """Read the medium into *path*; arguments as of `FlasherClient.dump`.

        Raises `ArgumentError` for a target: a medium is read as a whole.
        """
        if target is not None:
            raise ArgumentError(f"dump: target {target!r} was given, and this medium is read as a whole")
        with receiving(self, path, operator=operator, compression=compression) as handle:
            self.host()
            self.read(handle)
        self.dut()

    def cli(self, base: click.Group | None = None) -> click.Group:
        """The ``j`` commands of both: flash, dump, host, dut, off, write-local-file, read-local-file."""
        return StorageMuxClient.cli(self, FlasherClient.cli(self) if base is None else base)


def _add_mux(base: click.Group, client: StorageMuxClient) -> None:
    def add(name: str, help_text: str) -> None:
        @base.command(name, help=help_text)
        def command() -> None:
            getattr(client, name)()
            click.echo(_DONE)

    add("host", "Connect storage to host")
    add("dut", "Connect storage to dut")
    add("off", "Disconnect storage")

    @base.command()
    @click.argument("file", type=click.Path(dir_okay=False))
    def write_local_file(file: str) -> None:
        """Write a local file to the storage device"""
        client.write_local_file(file)
        click.echo(_DONE)

    @base.command()
    @click.argument("file", type=click.Path(dir_okay=False))
    def read_local_file(file: str) -> None:
        """Read into a local file from the storage device"""
        client.read_local_file(file)
        click.echo(_DONE)
