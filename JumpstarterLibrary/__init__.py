"""Robot Framework library for hardware in the loop: ``Library    JumpstarterLibrary``."""

import jumpstarter.common.interrupts  # noqa: F401 - before anything is imported that a signal may meet

from . import version
from .library import JumpstarterLibrary

__all__ = ["JumpstarterLibrary", "__version__"]
__version__ = version.VERSION
