"""Reading a line of shell: the little that the boot prompt and the login shell of a board understand.

Commands may be joined by `;`, `&&` and `||`; words may be quoted with ' and "; a backslash quotes one
character; `$NAME`, `${NAME}` and `$?` are replaced outside of single quotes. All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

JOINTS = (";", "&&", "||")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\?))")


class Unbalanced(ValueError):
    """Raised when a quote is opened and not closed."""


def split_commands(line: str) -> list[tuple[str, str]]:
    """Split *line* into commands: (the joint before the command, its text). The first joint is `;`.

    Raises:
        Unbalanced: a quote is not closed.
    """
    commands: list[tuple[str, str]] = []
    joint, text = ";", ""
    for piece, quoted in _pieces(line, JOINTS):
        if piece in JOINTS and not quoted:
            commands.append((joint, text))
            joint, text = piece, ""
        else:
            text += piece
    commands.append((joint, text))
    return [(joint, text.strip()) for joint, text in commands if text.strip()]


def split_words(command: str, lookup: Callable[[str], str]) -> list[str]:
    """Split one command into words, without their quotes, with variables replaced.

    Args:
        command: one text of `split_commands`.
        lookup: gives the value of a variable by its name; `?` is the last command's status.
    """
    words: list[str] = []
    word: str | None = None
    for piece, _ in _pieces(command, ()):
        if piece.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + _value(piece, lookup)
    return words if word is None else [*words, word]


def _pieces(line: str, joints: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Cut *line* into quoted strings (quotes included), escaped characters, joints and characters."""
    position = 0
    while position < len(line):
        character = line[position]
        if character in "'\"":
            end = line.find(character, position + 1)
            if end < 0:
                raise Unbalanced(f"the quote {character} is not closed")
            piece = line[position : end + 1]
        elif character == "\\":
            piece = line[position : position + 2]
        elif match := _VARIABLE.match(line, position):
            piece = match[0]
        else:
            piece = next((joint for joint in joints if line.startswith(joint, position)), character)
        yield piece, character in "'\"\\"
        position += len(piece)


def _value(piece: str, lookup: Callable[[str], str]) -> str:
    if piece.startswith("'"):
        return piece[1:-1]
    if piece.startswith("\\"):
        return piece[1:]
    text = piece[1:-1] if piece.startswith('"') else piece
    return _VARIABLE.sub(lambda match: lookup(match[1] or match[2] or match[3]), text)
