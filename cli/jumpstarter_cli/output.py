"""What commands print on standard output: plain tables, JSON, YAML, names."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from jumpstarter.common.printable import UNSEEN, printable, printable_line

if TYPE_CHECKING:
    from jumpstarter.config.listing import ConfigList

F = TypeVar("F", bound=Callable[..., Any])

#: What JSON and YAML leave as it is, and terminals do not.
_NOT_ESCAPED = f"[{UNSEEN}]"


def output_option(*formats: str, kinds: bool = False) -> Callable[[F], F]:
    """The ``-o/--output`` option with these formats, as parameter ``output``; *kinds*: names come with the kind before them."""
    short = "kind/name" if kinds else "names alone"
    help_text = "How to print it."
    if "path" in formats:
        help_text = 'How to print it; "-o path": the path of the file alone.'
    elif "name" in formats:
        help_text = f'How to print it; "-o name": {short}.'
    return click.option("-o", "--output", type=click.Choice(formats), help=help_text)


def data(value: Any, output: str) -> str:
    """*value*, made of plain lists, dicts and scalars, as ``json`` (indented by 4) or ``yaml``."""
    if output == "json":
        import json

        text = json.dumps(value, indent=4, ensure_ascii=False)
        return re.sub(_NOT_ESCAPED, lambda match: json.dumps(match[0])[1:-1], text)
    import yaml

    def dump(unicode: bool) -> str:
        text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=unicode, default_flow_style=False)
        return text.rstrip("\n")

    text = dump(True)
    return dump(False) if re.search(_NOT_ESCAPED, text) else text


def report_problems(problems: Iterable[str]) -> None:
    """Say, on standard error, what is wrong with files that a list leaves out."""
    for problem in problems:
        for line in problem.splitlines():
            click.echo(f"Warning: {printable(line)}", err=True)


def show_configs(
    found: ConfigList, output: str | None, headings: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Print the configurations that were *found*, as a table with *headings* and *rows* unless *output* says otherwise.

    Their tokens and passwords are not printed: a list is looked at, and copied into reports.
    """
    report_problems(found.problems)
    if output in ("json", "yaml"):
        from jumpstarter.common.secrets import without_secrets

        click.echo(data(without_secrets(found.to_plain()), output))
    elif output == "name":
        for config in found.items:
            click.echo(config.alias)
    else:
        click.echo(table(headings, rows))


#: Characters of the last column that are shown at the least.
_LEAST: Final = 12


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, fit: bool = False) -> str:
    """Left-aligned columns as wide as their content, or a line saying that there is nothing.

    Nothing is cut: a script that reads a column must get the whole value. With *fit* the last column is, on a terminal that
    is too narrow for it: lines that go on in the next one are hard to read.
    """
    lines = [list(headings), *([printable_line(cell) for cell in row] for row in rows)]
    if len(lines) == 1:
        return "No resources found."
    if fit and sys.stdout.isatty():
        _cut_last(lines, shutil.get_terminal_size().columns)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cut_last(lines: list[list[str]], width: int) -> None:
    """Cut the last column of *lines*, so that they are no longer than *width*, if that leaves enough of it."""
    before = sum(max(map(len, column)) + 2 for column in list(zip(*lines, strict=True))[:-1])
    room = max(width - before, _LEAST)
    for line in lines:
        if len(line[-1]) > room:
            line[-1] = f"{line[-1][: room - 3]}..."
