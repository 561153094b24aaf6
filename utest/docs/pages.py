"""The fenced code blocks of a Markdown page, in order, with what the comments above them say.

A block is started by three or more backticks and a language. HTML comments on the lines above it (blank lines
between do not matter) say more:

`<!-- file: NAME -->`   the block is the content of a file of that name, which later blocks of the page use
`<!-- needs: THING -->` run only where THING is there (see `NEEDS` in execute.py)
`<!-- exit: CODE -->`   the last command of a console block ends with this exit code
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[\w+-]*)\s*$")
COMMENT = re.compile(r"^\s*<!--\s*(?P<key>file|needs|exit)\s*:\s*(?P<value>.*?)\s*-->\s*$")


@dataclass(frozen=True)
class Block:
    """A code block: its language, its text, the line of its opening fence and what comments said about it."""

    page: Path
    line: int
    language: str
    text: str
    comments: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


class UnclosedBlock(ValueError):
    """A page ends inside a code block."""


def blocks(page: Path) -> list[Block]:
    """All code blocks of the page. Raises UnclosedBlock when the last one has no end."""
    return list(parse(page, page.read_text(encoding="utf-8")))


def parse(page: Path, text: str) -> Iterator[Block]:
    lines = enumerate(text.splitlines(), 1)
    comments: dict[str, str] = {}
    for number, line in lines:
        if comment := COMMENT.match(line):
            comments[comment["key"]] = comment["value"]
        elif fence := FENCE.match(line):
            content = block_content(lines, fence["indent"], fence["ticks"])
            if content is None:
                raise UnclosedBlock(f"{page}:{number}: this code block is never closed")
            yield Block(page, number, fence["language"], content, comments)
            comments = {}
        elif line.strip():
            comments = {}


def block_content(lines: Iterator[tuple[int, str]], indent: str, ticks: str) -> str | None:
    """The lines up to the closing fence, without the indentation of the opening one; or None."""
    content: list[str] = []
    for _, line in lines:
        if line.strip() == ticks:
            return "".join(f"{text}\n" for text in content)
        content.append(line.removeprefix(indent))
    return None
