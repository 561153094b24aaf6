"""Why what runs in a `jmp shell` is being ended: in a file, as a running process's environment cannot be changed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

#: Names a file that is there once the end has begun, and says why in one line.
END_REASON_FILE: Final = "JMP_END_REASON_FILE"


def end_reason() -> str:
    """Why the surrounding shell is being ended; "" while it is not, or outside of one."""
    path = os.environ.get(END_REASON_FILE)
    if path:
        with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    return ""


def tell_end_reason(path: str, reason: str) -> None:
    """Write *reason* for whoever looks at *path*; the first one stays."""
    from pathlib import Path  # every `j` asks for the reason, and needs none of it

    if not Path(path).exists():
        with suppress(OSError):
            whole = Path(f"{path}.new")
            whole.write_text(f"{reason}\n", encoding="utf-8")
            whole.replace(path)
