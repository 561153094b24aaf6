"""The code blocks of the documents that the product is built from, in shared/ beside the checkout."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

DOCUMENTATION = Path(__file__).resolve().parents[3] / "shared" / "seeds" / "documentation.md"
HEADING = re.compile(r"^(?P<marks>#+) (?P<title>.*)$")
FENCE = "```"


@cache
def code_blocks() -> tuple[tuple[tuple[str, ...], str], ...]:
    """Every block with the titles of the headings above it, outermost first.

    A heading takes the place of earlier ones of its depth. The deepest level (six marks) serves
    both for a driver and for the parts of its page, so a page's heading stays above its parts.
    """
    found: list[tuple[tuple[str, ...], str]] = []
    titles: list[tuple[int, str]] = []
    block: list[str] | None = None
    for line in DOCUMENTATION.read_text(encoding="utf-8").splitlines():
        if block is not None:
            if line.strip() == FENCE:
                found.append((tuple(title for _, title in titles), "".join(block)))
                block = None
            else:
                block.append(line + "\n")
        elif line.strip() == FENCE:
            block = []
        elif heading := HEADING.match(line):
            depth = len(heading["marks"])
            keep = [entry for entry in titles if entry[0] < depth or (entry[0] == depth == 6)]
            if depth == 6 and is_page(heading["title"]):
                keep = [entry for entry in keep if entry[0] < 6]
            titles = [*keep, (depth, heading["title"])]
    return tuple(found)


def is_page(title: str) -> bool:
    """Whether a heading begins the page of a driver package."""
    return re.search(r" [Dd]rivers?$", title) is not None


def blocks_under(title: str) -> list[str]:
    """The blocks below the heading of that title, in order."""
    return [block for titles, block in code_blocks() if title in titles]


def block_with(*lines: str) -> str:
    """The one block that holds all of these lines. Raises LookupError when there is not just one."""
    matching = [block for _, block in code_blocks() if all(line in block for line in lines)]
    if len(matching) != 1:
        raise LookupError(f"{len(matching)} blocks of {DOCUMENTATION.name} hold {lines}, expected one")
    return matching[0]


def doctests_under(title: str) -> list[str]:
    """The interactive examples below a heading."""
    return [block for block in blocks_under(title) if block.startswith(">>>")]
