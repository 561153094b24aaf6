"""``jmp version``, ``jmp driver version`` and ``jmp --version``."""

from __future__ import annotations

import click

from jumpstarter_cli.output import data, output_option

DISTRIBUTION = "robotframework-jumpstarter"


def product_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import version

    return version(DISTRIBUTION)


def version_line() -> str:
    """The version in one line, as people read it."""
    from platform import python_version

    return f"Jumpstarter CLI version: {product_version()} ({DISTRIBUTION}, Python {python_version()})"


@click.command
@output_option("json", "yaml", "name")
def version(output: str | None) -> None:
    """Get the current Jumpstarter version"""
    if output is None:
        click.echo(version_line())
    elif output == "name":
        click.echo(product_version())
    else:
        from platform import python_version

        # gitVersion is the key that scripts for stock Jumpstarter read.
        facts = {
            "gitVersion": f"v{product_version()}",
            "package": DISTRIBUTION,
            "version": product_version(),
            "pythonVersion": python_version(),
        }
        click.echo(data(facts, output))
