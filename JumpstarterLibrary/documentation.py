"""Keyword documentation made of a client's docstrings: pure text work.

Libdoc reads ``Args:`` sections and refuses a keyword whose documentation names an argument that the keyword
has not, so arguments that a keyword does not show leave the text as well. Sphinx fields (``:param x:``)
become sections.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns|Return|Yields|Raises|Example|Examples|Note|Notes):\s*$"
)
_ARGUMENT = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:")
_FIELD = re.compile(r"^:(?P<kind>\w+)(?:\s+(?P<what>[^:]*))?:\s*(?P<text>.*)$")


def keyword_documentation(
    docstring: str | None,
    arguments: Collection[str],
    *,
    description: str | None = None,
    notes: Collection[str] = (),
) -> str:
    """The documentation of a keyword that shows *arguments*.

    *description* is what the exporter's configuration says about the method, and then the first line. *notes*
    are paragraphs put before the sections.
    """
    text = inspect.cleandoc(docstring) if docstring else ""
    lines, fields = _take_fields(text.splitlines())
    body, sections = _split_sections(lines)
    if description:
        body = [description, "", *body] if body else [description]
    for note in notes:
        body += ["", note] if body else [note]
    for title, content in (*sections, *fields):
        kept = _keep_arguments(content, arguments) if title == "Args" else content
        if kept:
            body += ["", f"{title}:", *kept]
    return "\n".join(body).strip()


def _split_sections(lines: list[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    body: list[str] = []
    sections: list[tuple[str, list[str]]] = []
    current = body
    for line in lines:
        if match := _SECTION.match(line):
            title = {"Arguments": "Args", "Parameters": "Args", "Return": "Returns"}.get(match[1], match[1])
            current = []
            sections.append((title, current))
        elif line and not line[0].isspace() and current is not body:
            current = body  # text flush left ends a section
            body += [line] if not body or not body[-1] else ["", line]
        else:
            current.append(line)
    return _strip(body), [(title, _strip(content)) for title, content in sections]


def _keep_arguments(content: list[str], arguments: Collection[str]) -> list[str]:
    """The entries of an ``Args`` section that are about *arguments*.

    An entry's continuation lines go with it.
    """
    kept: list[str] = []
    indent: int | None = None
    keeping = True
    for line in content:
        depth = len(line) - len(line.lstrip())
        if (match := _ARGUMENT.match(line)) and (indent is None or depth <= indent):
            indent = depth
            keeping = match[1] in arguments
        if keeping:
            kept.append(line)
    return _strip(kept)


def _take_fields(lines: list[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    rest: list[str] = []
    found: dict[str, list[str]] = {}
    for line in lines:
        match = _FIELD.match(line)
        if match is None:
            rest.append(line)
        elif match["kind"] == "param" and match["what"]:
            found.setdefault("Args", []).append(f"    {match['what'].split()[-1]}: {match['text']}")
        elif match["kind"] in ("return", "returns"):
            found.setdefault("Returns", []).append(f"    {match['text']}")
        elif match["kind"] in ("raises", "raise") and match["what"]:
            found.setdefault("Raises", []).append(f"    {match['what']}: {match['text']}")
    return rest, list(found.items())


def _strip(lines: list[str]) -> list[str]:
    return "\n".join(lines).strip("\n").splitlines()
