"""What a driver is made of: the base class `Driver` and the decorators `export` and `exportstream`."""

from .base import Driver
from .decorators import export, exportstream
from .flasher import FlasherInterface

__all__ = ["Driver", "FlasherInterface", "export", "exportstream"]
