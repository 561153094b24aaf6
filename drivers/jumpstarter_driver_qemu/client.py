"""Clients of an emulated board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import fspath
from typing import TYPE_CHECKING, Any

import click
from jumpstarter.client.flasher import FlasherClient
from jumpstarter.common.images import AS_IT_IS
from jumpstarter_driver_composite.client import CompositeClient

if TYPE_CHECKING:
    from jumpstarter.client.flasher import PathBuf

__all__ = ["QemuClient", "QemuFlasherClient"]

_OCI = "oci://"
#: Partitions whose content QEMU and the kernel decompress themselves.
_TAKEN_COMPRESSED = ("kernel", "initrd")


@dataclass(kw_only=True)
class QemuFlasherClient(FlasherClient):
    """Writes the partitions of an emulated board.

    An image may also be an ``oci://`` reference, which the exporter fetches where its driver can.
    """

    def _flash_one(self, path: PathBuf, target: str | None, operator: Any, compression: Any) -> None:
        if fspath(path).startswith(_OCI):
            self.flash_oci(fspath(path), target)
            return
        if compression is None and target is not None and target.lower() in _TAKEN_COMPRESSED:
            compression = AS_IT_IS
        super()._flash_one(path, target, operator, compression)

    def flash_oci(self, oci_url: str, partition: str | None = None) -> None:
        """Have the exporter fetch *oci_url* and write it to *partition* (default: root).

        Raises DriverMethodNotImplemented when its driver cannot, DriverError when the attempt fails.
        """
        from jumpstarter.common.exceptions import ArgumentError, DriverError

        if not oci_url.startswith(_OCI):
            raise ArgumentError(f"found {oci_url!r}, expected a reference such as oci://registry/image:tag")
        for _, text, code in self.streamingcall("flash_oci", oci_url, partition):
            if text:
                self.logger.info("%s", str(text).rstrip())
            if code:
                raise DriverError(f"flashing {oci_url} failed with exit code {code}: {text}")


@dataclass(kw_only=True)
class QemuClient(CompositeClient):
    """An emulated board: its parts are children (``power``, ``console``, ``flasher``, ``ssh``, ...)."""

    @property
    def hostname(self) -> str:
        """The host name that cloud images are given."""
        return str(self.call("get_hostname"))

    @property
    def username(self) -> str:
        """The user that cloud images create."""
        return str(self.call("get_username"))

    @property
    def password(self) -> str:
        """That user's password."""
        return str(self.call("get_password"))

    def set_disk_size(self, size: str) -> None:
        """Have the root disk grown to *size*, such as ``20G``, at the next power-on. Raises
        DriverInvalidArgument.
        """
        self.call("set_disk_size", size)

    def set_memory_size(self, size: str) -> None:
        """Give the board *size* of memory, such as ``2G``, at the next power-on. Raises
        DriverInvalidArgument.
        """
        self.call("set_memory_size", size)

    def flash_oci(self, oci_url: str, partition: str | None = None) -> None:
        """Write the image *oci_url* to *partition* (default: root); see `QemuFlasherClient.flash_oci`."""
        self.flasher.flash_oci(oci_url, partition)

    @contextmanager
    def shell(self) -> Iterator[Any]:
        """An SSH session in the guest, as a ``fabric.Connection``, with the user of the configuration."""
        from jumpstarter_driver_network.adapters import FabricAdapter

        access = {"password": self.password, "look_for_keys": False, "allow_agent": False}
        with FabricAdapter(self.ssh, user=self.username, connect_kwargs=access) as connection:
            yield connection

    @contextmanager
    def novnc(self) -> Iterator[str]:
        """The board's screen for a browser: the URL of a noVNC page, which works while the context lasts."""
        from jumpstarter_driver_network.adapters import NovncAdapter

        with NovncAdapter(self.vnc, encrypt=False) as url:
            yield url

    def cli(self) -> click.Group:
        """The ``j`` commands: those of the parts, and ``resize``."""
        base = super().cli()
        base.help = self.description or "A board emulated by QEMU"

        @base.group()
        def resize() -> None:
            """Change sizes, for the next power-on"""

        @resize.command()
        @click.argument("size")
        def disk(size: str) -> None:
            """Grow the root disk to SIZE, such as 20G"""
            self.set_disk_size(size)
            click.echo("ok")

        @resize.command()
        @click.argument("size")
        def memory(size: str) -> None:
            """Set the memory to SIZE, such as 2G"""
            self.set_memory_size(size)
            click.echo("ok")

        return base
