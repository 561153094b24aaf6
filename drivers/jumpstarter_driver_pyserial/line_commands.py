"""The commands that change a serial line: its settings, and a break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .settings import LineSettings

if TYPE_CHECKING:
    from .client import PySerialClient

_PARITIES = ("none", "even", "odd", "mark", "space", "N", "E", "O", "M", "S")


def settings_command(client: PySerialClient) -> click.Command:
    """The command ``settings`` for *client*."""

    @click.command("settings")
    @click.option("--baudrate", type=click.IntRange(min=1), help="Bits per second.")
    @click.option("--bytesize", type=click.Choice(["5", "6", "7", "8"]), help="Data bits of a character.")
    @click.option("--parity", type=click.Choice(_PARITIES, case_sensitive=False), help="Parity bit.")
    @click.option("--stopbits", type=click.Choice(["1", "1.5", "2"]), help="Stop bits.")
    @click.option("--rtscts/--no-rtscts", default=None, help="Flow control by the lines RTS and CTS.")
    @click.option("--xonxoff/--no-xonxoff", default=None, help="Flow control by characters.")
    @click.option("--dsrdtr/--no-dsrdtr", default=None, help="Flow control by the lines DSR and DTR.")
    def settings(**values: Any) -> None:
        """Print or change the settings of the line

        Changes hold until the lease ends, for a console that is open, too.
        """
        for name, convert in (("bytesize", int), ("stopbits", float)):
            values[name] = values[name] and convert(values[name])
        changes = any(value is not None for value in values.values())
        told = client.configure(**values) if changes else client.settings()
        for name in LineSettings().as_dict():
            value = told[name]
            click.echo(f"{name}={str(value).lower() if isinstance(value, bool) else value}")

    return settings


def send_break_command(client: PySerialClient) -> click.Command:
    """The command ``send-break`` for *client*."""

    @click.command("send-break")
    @click.option(
        "--duration",
        type=click.FloatRange(min=0, max=5, min_open=True),
        default=0.25,
        show_default=True,
        help="Seconds.",
    )
    def send_break(duration: float) -> None:
        """Hold the line in the break condition for a moment"""
        client.send_break(duration)
        click.echo("ok")

    return send_break
