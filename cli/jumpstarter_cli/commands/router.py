"""``jmp router run``: a router in a process of its own, for labs that outgrow the one in the controller."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from jumpstarter.common.exceptions import ConfigurationError, FileAccessError

from jumpstarter_cli import logs

if TYPE_CHECKING:
    import grpc
    from jumpstarter_controller.settings import ControllerSettings

_FILE = click.Path(path_type=Path)


@click.command
@click.option(
    "--listen", default="[::]:8083", show_default=True, metavar="HOST:PORT", help="Address of the router."
)
@click.option(
    "--key-file",
    type=_FILE,
    metavar="FILE",
    help="The key that the controller shares with its routers: keys/router.key in its data directory.",
)
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="Certificate chain (PEM).")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Private key (PEM).")
@click.option(
    "--data-dir",
    type=_FILE,
    metavar="DIR",
    help="The controller's data directory, on its machine: key and certificate are found there.",
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="HOST:PORT",
    help="With --data-dir: how peers reach the router.",
)
@click.option(
    "--own",
    is_flag=True,
    help="With --data-dir, or --config: be the lab's own router, with its joint, in place of the one that the controller "
    "would start. The controller may be restarted then without an effect on streams.",
)
@click.option("--config", type=_FILE, metavar="FILE", help="With --own: the controller's settings.")
def run(
    listen: str,
    key_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    data_dir: Path | None,
    endpoints: tuple[str, ...],
    own: bool,
    config: Path | None,
) -> None:
    """Run a router.

    The controller sends clients and exporters to the routers that its configuration names (router.others). It runs until
    SIGINT or SIGTERM, and ends with exit code 128 + n then.
    """
    logs.configure("INFO", times=True)
    try:
        import jwt  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the router needs the module '{error.name}': pip install 'robotframework-jumpstarter[controller]'"
        ) from None
    if own:
        source = click.get_current_context().get_parameter_source("listen")
        chosen = listen if source is click.core.ParameterSource.COMMANDLINE else None
        raise SystemExit(128 + _run_own(data_dir, config, chosen, endpoints))
    if config is not None:
        raise click.UsageError("--config belongs to --own.")
    if bool(tls_cert) != bool(tls_key):
        raise click.UsageError("--tls-cert and --tls-key belong together.")
    if data_dir is None and (key_file is None or tls_cert is None):
        raise click.UsageError("Give --data-dir, or all of --key-file, --tls-cert and --tls-key.")
    key = _read(key_file or (data_dir or Path()) / "keys" / "router.key").strip()
    credentials = _credentials(tls_cert, tls_key, data_dir, listen, endpoints)
    raise SystemExit(128 + asyncio.run(_run(listen, key, credentials)))


def _run_own(
    data_dir: Path | None, config: Path | None, listen: str | None, endpoints: tuple[str, ...]
) -> int:
    """Serve the lab's own data plane as its controller would have it served; gives the number of the signal that ended it."""
    from .controller import allow_files, controller_settings

    if data_dir is None and config is None:
        raise click.UsageError(
            "--own needs --data-dir, --config or both, as they are given to the controller."
        )
    settings = controller_settings(data_dir, config, None, listen, endpoints)
    if not settings.router.listen:
        raise ConfigurationError(
            "router.listen is empty in the controller's settings: it has no router of its own"
        )
    allow_files()
    return asyncio.run(_serve_own(settings))


async def _serve_own(settings: ControllerSettings) -> int:
    from jumpstarter_controller.data_plane.process import PlaneProcess, run_plane
    from jumpstarter_controller.data_plane.settings import PlaneSettings

    wanted = PlaneSettings.of(settings)
    try:
        wanted.data.make()
    except OSError as error:
        raise FileAccessError(f"{settings.dataDirectory}: cannot be used: {error.strerror}") from None
    plane = PlaneProcess(wanted, time.time(), service=True)
    await plane.start()
    click.echo(f"The router listens on port {plane.ports.router_port}.")
    return await run_plane(plane)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileAccessError(f"{path}: {error.strerror}") from None


def _credentials(
    cert: Path | None, key: Path | None, data_dir: Path | None, listen: str, endpoints: tuple[str, ...]
) -> grpc.ServerCredentials:
    from jumpstarter.common.addresses import split_address
    from jumpstarter_controller.identity.authority import Authority, own_names
    from jumpstarter_controller.identity.certificates import (
        CertificateFiles,
        CertificateSource,
        OwnCertificate,
        server_credentials,
    )

    source: CertificateSource
    if cert is not None and key is not None:
        source = CertificateFiles(cert, key, None)
    else:
        assert data_dir is not None
        hosts = {split_address(each)[0] for each in (listen, *endpoints)} - {"::", "0.0.0.0"}
        source = OwnCertificate(Authority.open(data_dir / "ca"), frozenset(own_names() | hosts))
    return server_credentials(source)


async def _run(listen: str, key: bytes, credentials: Any) -> int:
    import grpc
    from jumpstarter_controller.data_plane.ports import SERVER_OPTIONS
    from jumpstarter_router.service import RouterService
    from jumpstarter_router.tokens import LEEWAY, TokenAuthority

    try:
        # What was cut before is not known any more. The controller may be on another machine, whose clock is behind a bit.
        authority = TokenAuthority(key, time.time() - LEEWAY)
    except ValueError as error:
        raise ConfigurationError(f"{error}: use the controller's keys/router.key") from None
    server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_generic_rpc_handlers((RouterService(authority).handlers(),))
    try:
        port = server.add_secure_port(listen, credentials)
    except RuntimeError:
        port = 0
    if not port:
        raise ConfigurationError(
            f"cannot listen on {listen}: the port is in use, or the address is not this machine's"
        )
    await server.start()
    click.echo(f"The router listens on {listen.rpartition(':')[0]}:{port}.")
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return await stopped
    finally:
        await server.stop(2.0)
