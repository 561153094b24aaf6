"""Robot Framework library for hardware in the loop: ``Library    JumpstarterLibrary``."""

from . import version
from .library import JumpstarterLibrary

__all__ = ["JumpstarterLibrary", "__version__"]
__version__ = version.VERSION
