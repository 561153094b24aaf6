"""Testing hardware with pytest: `JumpstarterTest` (module pytest) and `eventually` (module eventually)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .eventually import eventually

if TYPE_CHECKING:
    from .pytest import JumpstarterTest

__all__ = ["JumpstarterTest", "eventually"]


def __getattr__(name: str) -> Any:
    """`JumpstarterTest` is imported when it is used: it needs the extra ``pytest``."""
    if name != "JumpstarterTest":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .pytest import JumpstarterTest

    return JumpstarterTest
