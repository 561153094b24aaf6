"""Text of others on terminals: control characters are shown as text, so that they cannot move the cursor, hide or fake lines.

Everything that comes from an exporter, a driver, a hook or a label goes through `printable` on its way to a person. A serial
console and the output of a command that someone runs are data, and stay as they are.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["UNSEEN", "printable", "printable_line"]

#: What follows DEL and no person sees, for a class of a regular expression: C1; line and paragraph separators; marks that change
#: the direction of text, annotate it or take no room (but the two joiners, which scripts and emoji need); tags; halves of pairs.
UNSEEN: Final = (
    "\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
#: C0 but tab and line feed, and what is unseen.
_CONTROLS: Final = re.compile(f"[\x00-\x08\x0b-\x1f{UNSEEN}]")


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
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
