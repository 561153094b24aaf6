"""Values that a command needs and that the user may leave out: asked for on a terminal, else an error."""

from __future__ import annotations

import sys

import click


def ask(
    value: str | None,
    option: str,
    text: str,
    *,
    interactive: bool,
    default: str | None = None,
    secret: bool = False,
) -> str:
    """*value* if it is given; else the answer to *text*; else *default*.

    Args:
        value: what the command line gave, or None.
        option: the option's name, for the error message.
        text: the question.
        interactive: whether the user may be asked.
        default: what an empty answer means; None if there must be an answer.
        secret: do not show what is typed.

    Raises:
        click.UsageError: there is neither a value nor anyone to ask.
    """
    if value is not None:
        return value
    on_terminal = sys.stdin.isatty()
    if interactive:
        try:
            # Asked on standard error: `-o path` prints a path and nothing else on standard output.
            answer: str = click.prompt(
                text,
                default=default,
                hide_input=secret and on_terminal,
                show_default=bool(default),
                err=True,
            )
            return answer
        except click.Abort:
            if on_terminal:
                raise
            click.echo(err=True)  # ends the line of the question that nobody answered
    if default is None:
        raise click.UsageError(f"Missing option '{option}'.", click.get_current_context())
    return default
