"""``jmp driver list``: the driver classes that installed packages announce."""

from __future__ import annotations

from typing import NamedTuple

import click

from jumpstarter_cli.output import data, output_option, table

ENTRY_POINT_GROUP = "jumpstarter.drivers"


class InstalledDriver(NamedTuple):
    """A driver announced by an entry point. `type` is what an exporter config's ``type:`` takes."""

    name: str
    type: str
    package: str
    version: str


def installed_drivers() -> list[InstalledDriver]:
    """All announced drivers, sorted by name and then by type."""
    from importlib.metadata import entry_points

    return sorted(
        {
            InstalledDriver(
                point.name,
                point.value.replace(":", "."),
                point.dist.name if point.dist else "",
                point.dist.version if point.dist else "",
            )
            for point in entry_points(group=ENTRY_POINT_GROUP)
        }
    )


@click.command("list")
@output_option("json", "yaml", "name")
def list_(output: str | None) -> None:
    """List the installed drivers.

    TYPE is the value for `type:` in an exporter config.
    """
    drivers = installed_drivers()
    if output is None:
        click.echo(table([field.upper() for field in InstalledDriver._fields], drivers))
    elif output == "name":
        for driver in drivers:
            click.echo(driver.name)
    else:
        click.echo(data([driver._asdict() for driver in drivers], output))
