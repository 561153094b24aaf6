"""Programs on a terminal of their own."""

from __future__ import annotations

from typing import Any

import pexpect


def close(child: pexpect.spawn[Any]) -> None:
    """Close the terminal of *child*, and wait until it has ended, by force if it stays."""
    try:
        child.close(force=True)
    except pexpect.ExceptionPexpect:
        child.ptyproc.wait()  # pexpect looks only once after it has killed it
