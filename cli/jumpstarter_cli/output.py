"""What commands print on standard output: plain tables, JSON, YAML, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from jumpstarter.common.printable import UNSEEN, printable, printable_line

if TYPE_CHECKING:
    from jumpstarter.config.listing import ConfigList

F = TypeVar("F", bound=Callable[..., Any])

#: What JSON and YAML leave as it is, and terminals do not.
_NOT_ESCAPED = f"[{UNSEEN}]"


def output_option(*formats: str) -> Callable[[F], F]:
    """The ``-o/--output`` option with these formats, as parameter ``output``."""
    help_text = (
        'Output mode. Use "-o path" for shorter output (file/path).'
        if formats == ("path",)
        else 'Output mode. Use "-o name" for shorter output (resource/name).'
    )
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


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns as wide as their content, or a line saying that there is nothing.

    Nothing is cut: a script that reads a column must get the whole value whatever the terminal's width.
    """
    lines = [list(headings), *([printable_line(cell) for cell in row] for row in rows)]
    if len(lines) == 1:
        return "No resources found."
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
