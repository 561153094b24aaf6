"""The interface of drivers that write images to a device."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any


class FlasherInterface(metaclass=ABCMeta):
    """Writes images to a device and reads them back."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.flasher.FlasherClient"

    @abstractmethod
    def flash(self, source: Any, target: str | None = None) -> Any:
        """Write the resource *source* to the device, or to its partition *target*."""

    @abstractmethod
    def dump(self, target: Any, partition: str | None = None) -> Any:
        """Read the device, or its *partition*, into the resource *target*."""
