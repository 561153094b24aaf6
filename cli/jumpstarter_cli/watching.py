"""Lists that are asked for by name, and lists that are followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, TypeVar

import click
from jumpstarter.common.exceptions import ConnectionError

from .output import table

T = TypeVar("T")

#: Seconds between two looks: a controller tells of the changes of one lease, not of lists.
INTERVAL: Final = 1.0


def named(items: Sequence[T], names: Sequence[str], name_of: Callable[[T], str], kind: str) -> list[T]:
    """Those of *items* that *names* name, in this order; all where there are none.

    Raises click.ClickException for a name that is none of theirs, with the nearest.
    """
    if not names:
        return list(items)
    known = {name_of(item): item for item in items}
    for name in names:
        if name not in known:
            from jumpstarter.common.suggestions import did_you_mean

            raise click.ClickException(f"{kind} '{name}' not found{did_you_mean(name, list(known)) or ''}")
    return [known[name] for name in names]


def check_watched(watch: bool, output: str | None) -> None:
    """Raise click.UsageError for a list that is followed in a form that is none of a table."""
    if watch and output in ("json", "yaml", "name"):
        raise click.UsageError(f"--watch prints a table, and -o {output} is none: give one of the two.")


def follow(rows: Callable[[], Sequence[Sequence[str]]], headings: Sequence[str]) -> NoReturn:
    """Print the table of *rows*, then each row that is new or has changed, and those that are gone, until interrupted."""
    shown = {row[0]: tuple(row) for row in rows()}
    click.echo(table(headings, shown.values()))
    while True:
        time.sleep(INTERVAL)
        try:
            now = {row[0]: tuple(row) for row in rows()}
        except ConnectionError as error:
            click.echo(f"{error}", err=True)
            continue
        changed = [row for name, row in now.items() if shown.get(name) != row]
        gone = [(name, "gone", *("" for _ in headings[2:])) for name in shown if name not in now]
        if changed or gone:
            click.echo("\n".join(table(headings, [*changed, *gone]).splitlines()[1:]))
        shown = now
