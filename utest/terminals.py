"""Programs on a terminal of their own."""

from __future__ import annotations

import termios
from typing import Any

import pexpect


def close(child: pexpect.spawn[Any]) -> None:
    """Close the terminal of *child*, and wait until it has ended, by force if it stays."""
    try:
        child.close(force=True)
    except pexpect.ExceptionPexpect:
        child.ptyproc.wait()  # pexpect looks only once after it has killed it


def is_cooked(child: pexpect.spawn[Any]) -> bool:
    """Whether the terminal of *child* gives whole lines and shows what is typed, as a shell left it."""
    local = int(termios.tcgetattr(child.child_fd)[3])
    return bool(local & termios.ICANON and local & termios.ECHO)
