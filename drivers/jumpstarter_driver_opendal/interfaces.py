"""What a driver of a storage device must offer. Methods may be plain or ``async``; export each of them."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

from jumpstarter.driver import FlasherInterface as CoreFlasherInterface

__all__ = ["FlasherInterface", "StorageMuxFlasherInterface", "StorageMuxInterface"]


class FlasherInterface(CoreFlasherInterface):
    """Writes images to a device and reads them back."""

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_opendal.client.FlasherClient"


class StorageMuxInterface(metaclass=ABCMeta):
    """A medium that is connected to the exporter's host, to the DUT, or to neither."""

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_opendal.client.StorageMuxClient"

    @abstractmethod
    def host(self) -> Any:
        """Connect the medium to the exporter's host."""

    @abstractmethod
    def dut(self) -> Any:
        """Connect the medium to the DUT."""

    @abstractmethod
    def off(self) -> Any:
        """Disconnect the medium from both."""

    @abstractmethod
    def write(self, src: Any) -> Any:
        """Write the resource with the handle *src* to the medium, from its first byte."""

    @abstractmethod
    def read(self, dst: Any) -> Any:
        """Read the whole medium into the resource with the handle *dst*."""


class StorageMuxFlasherInterface(StorageMuxInterface):
    """A storage multiplexer whose client also offers `flash` and `dump`."""

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_opendal.client.StorageMuxFlasherClient"
