"""Reading and running a line of shell: the little that the boot prompt and the login shell of a board understand.

Commands may be joined by `;`, `&&` and `||`; words may be quoted with ' and "; a backslash quotes one
character; `$NAME`, `${NAME}` and `$?` are replaced outside of single quotes. Nothing here does I/O.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

JOINTS = (";", "&&", "||")
A = TypeVar("A")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\?))")


class Unbalanced(ValueError):
    """Raised when a quote is opened and not closed."""


@dataclass(frozen=True)
class Answer(Generic[A]):
    """What one line gave: the text it printed, and what the machine shall do next."""

    text: str = ""
    act: A | None = None


class CommandLine(ABC, Generic[A]):
    """Runs lines. A subclass fills `commands`: what the words after a name print, and the status. `A` is what they may ask
    of the machine.
    """

    #: (status, text) for a line with a quote that is not closed.
    unbalanced: tuple[int, str]

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.status = 0
        self.commands: dict[str, Callable[[list[str]], tuple[str, int]]] = {}
        self._variables = variables
        self._act: A | None = None

    def run(self, line: str) -> Answer[A]:
        """Run one line and give what it printed. Commands after one that asks something of the machine are not run."""
        text = ""
        self._act = None
        try:
            for joint, command in split_commands(line):
                if (joint == "&&" and self.status) or (joint == "||" and not self.status):
                    continue
                text += self._run_one(split_words(command, self._lookup))
                if self._act is not None:
                    break
        except Unbalanced:
            self.status, complaint = self.unbalanced
            text += complaint
        return Answer(text, self._act)

    def _run_one(self, words: list[str]) -> str:
        if not words:
            return ""
        command = self.find(words[0])
        text, self.status = self.unknown(words[0]) if command is None else command(words[1:])
        return text

    def find(self, name: str) -> Callable[[list[str]], tuple[str, int]] | None:
        """The command *name*."""
        return self.commands.get(name)

    @abstractmethod
    def unknown(self, name: str) -> tuple[str, int]:
        """What a command that there is not prints, and the status."""

    def ask(self, act: A, text: str = "") -> tuple[str, int]:
        """The result of a command that prints *text* and asks *act* of the machine."""
        self._act = act
        return text, 0

    def _lookup(self, name: str) -> str:
        return str(self.status) if name == "?" else self._variables.get(name, "")


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
