"""``jmp auth``: the token of a client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.printable import printable_line
from jumpstarter.common.tokens import read_token

from jumpstarter_cli.lab import client_options, lab_of
from jumpstarter_cli.leases import local_text
from jumpstarter_cli.logs import note

if TYPE_CHECKING:
    from jumpstarter.config.client import ClientConfigV1Alpha1

#: A token that expires within this time is about to.
SOON: Final = timedelta(minutes=5)
#: Seconds for the controller to say whether it takes the token.
ASK_TIMEOUT: Final = 5.0


def _config(client: str | None, client_config: str | None) -> ClientConfigV1Alpha1:
    from jumpstarter.config.client import resolve_client_config

    return resolve_client_config(client, client_config)


@click.command
@click.option("-v", "--verbose", is_flag=True, help="Show the configuration and the controller, too.")
@client_options
@click.pass_context
def status(ctx: click.Context, verbose: bool, client: str | None, client_config: str | None) -> None:
    """Show the state of the client's token, and what the controller says of it. The exit code is 1 when it cannot be used."""
    from jumpstarter.common.durations import format_duration

    config = _config(client, client_config)
    if verbose:
        click.echo(f"Configuration: {config.path or 'environment'}")
        click.echo(f"Endpoint: {config.endpoint or 'none'}")
        click.echo(f"Client: {config.metadata.namespace or 'default'}/{config.metadata.name}")
    if not config.token:
        click.echo("Status: no token; log in with 'jmp login CLIENT@HOST --token TOKEN'")
        ctx.exit(1)
    claims = read_token(config.token)
    if claims is None:
        click.echo("Status: not readable, it is not a JWT; only the controller can tell whether it is valid")
        return
    left = None if claims.expires is None else claims.expires - datetime.now(UTC)
    if left is not None:
        seconds = timedelta(seconds=round(abs(left.total_seconds())))
        when = f"{format_duration(seconds)} ago" if left < timedelta(0) else f"in {format_duration(seconds)}"
        click.echo(f"Token expiry: {local_text(claims.expires)} ({when})")
    expired = left is not None and left <= timedelta(0)
    soon = left is not None and left <= SOON
    refusal = None if expired else _refusal(config)
    if refusal is not None:
        click.echo(f"Status: REFUSED, {printable_line(refusal)}")
    else:
        click.echo(f"Status: {'EXPIRED' if expired else 'EXPIRING SOON' if soon else 'Valid'}")
    click.echo(f"Subject: {printable_line(claims.subject or 'none')}")
    click.echo(f"Issuer: {printable_line(claims.issuer or 'none')}")
    ctx.exit(1 if expired or refusal is not None else 0)


def _refusal(config: ClientConfigV1Alpha1) -> str | None:
    """Why the controller does not take the token; None when it does, or cannot be asked, which is told."""
    from jumpstarter.client.lab import ControllerUnreachable
    from jumpstarter.common.exceptions import JumpstarterException
    from jumpstarter.connection.controller import controller

    if not config.endpoint:
        return None
    try:
        with controller(config) as lab:
            lab.check(ASK_TIMEOUT)
    except ControllerUnreachable as error:
        note(f"The controller was not asked, this is what the token itself says: {error}")
    except JumpstarterException as error:
        return str(error)
    return None


@click.command
@client_options
def rotate(client: str | None, client_config: str | None) -> None:
    """Get a new token and put it into the configuration. The old one is valid for another hour."""
    with lab_of(client, client_config) as (lab, config):
        token, expiry = lab.rotate_token()
    if config.path is None:
        click.echo(f"Token rotated. New expiry: {local_text(expiry)}", err=True)
        click.echo(token)  # there is no file that could hold it
        return
    from jumpstarter.config.client import ClientConfigV1Alpha1

    stored = ClientConfigV1Alpha1.from_file(config.path, alias=config.alias, environment=False)
    stored.token = token
    stored.save()
    click.echo(f"Token rotated. New expiry: {local_text(expiry)}")


@click.command
@client_options
def refresh(client: str | None, client_config: str | None) -> None:
    """Renew a token of an external identity provider."""
    config = _config(client, client_config)
    if not config.refresh_token:
        raise ConfigurationError(
            f"client '{config.alias}' has no refresh token: its token is the controller's own; 'jmp auth rotate' renews it"
        )
    raise ConfigurationError(
        "tokens of external identity providers cannot be refreshed by this version; get a new token and "
        "log in with 'jmp login --token TOKEN'"
    )
