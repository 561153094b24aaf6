"""Text of others on terminals: control characters are shown as text, so that they cannot move the cursor, hide or fake lines.

Everything that comes from an exporter, a driver, a hook or a label goes through `printable` on its way to a person. A serial
console and the output of a command that someone runs are data, and stay as they are.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["printable", "printable_line"]

#: C0 but tab and line feed, DEL and C1; line and paragraph separators; marks that change the direction of text; halves of pairs.
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """*text* with control characters as Python writes them, such as ``\\\\x1b``; tabs and line ends stay."""
    # Line ends of Windows and of terminals are line ends.
    return _CONTROLS.sub(_escaped, text.replace("\r\n", "\n"))


def printable_line(text: str) -> str:
    """`printable` for what has to be one line: line ends are shown as text, too."""
    return printable(text).replace("\n", "\\n")


def _escaped(match: re.Match[str]) -> str:
    if match[0] == "\r":
        return "\\r"
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
