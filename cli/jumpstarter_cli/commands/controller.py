"""``jmp controller run``: a lab in one process."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from jumpstarter.common.exceptions import ConfigurationError

from jumpstarter_cli import logs

if TYPE_CHECKING:
    from jumpstarter_controller.server import RunningLab
    from jumpstarter_controller.settings import ControllerSettings

#: Open files that a controller may have; more would cost memory for nothing.
FILES: Final = 65536


@click.command
@click.option(
    "--data-dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where keys, certificates and leases are kept; made at the first start "
    "[default: $XDG_STATE_HOME/jumpstarter/controller].",
)
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Settings; none are needed.")
@click.option("--listen", metavar="HOST:PORT", help="Address of the controller [default: [::]:8082].")
@click.option("--router-listen", metavar="HOST:PORT", help="Address of the router [default: [::]:8083].")
@click.option(
    "--endpoint",
    "endpoints",
    metavar="HOST:PORT",
    multiple=True,
    help="How clients and exporters reach the controller; the first one is written into their configurations.",
)
def run(
    data_dir: Path | None,
    config: Path | None,
    listen: str | None,
    router_listen: str | None,
    endpoints: tuple[str, ...],
) -> None:
    """Run a lab: controller, router and login service.

    Without any option it makes what it needs at the first start and keeps it. It runs until SIGINT or SIGTERM, and ends
    with exit code 128 + n then; leases go on meanwhile. The router is a process of its own: it outlives a controller that
    crashes, and the next one takes it over with all that is open.
    """
    logs.configure("INFO", times=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        import jumpstarter_controller.server  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the controller needs the module '{error.name}': pip install 'robotframework-jumpstarter[controller]'"
        ) from None
    settings = controller_settings(data_dir, config, listen, router_listen, endpoints)
    allow_files()
    number = asyncio.run(_run(settings))
    raise SystemExit(128 + number)


def allow_files() -> None:
    """As many open files as the system allows: every connection that is joined takes two, and many systems begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # macOS allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def controller_settings(
    data_dir: Path | None,
    config: Path | None,
    listen: str | None,
    router_listen: str | None,
    endpoints: tuple[str, ...],
) -> ControllerSettings:
    """What the file says, and the command line over it."""
    from jumpstarter_controller.settings import ControllerSettings

    settings = ControllerSettings.from_file(config) if config is not None else ControllerSettings()
    if data_dir is not None:
        settings.dataDirectory = data_dir
    if listen is not None:
        settings.listen = listen
    if router_listen is not None:
        settings.router.listen = router_listen
    if endpoints:
        settings.endpoints = list(endpoints)
    settings.dataDirectory = settings.dataDirectory.expanduser().absolute()
    settings.check()
    return settings


async def _run(settings: ControllerSettings) -> int:
    """Run until a signal comes; gives its number."""
    from jumpstarter_controller.runtime.journal import open_journal
    from jumpstarter_controller.server import serve

    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    async with serve(settings, lambda data: open_journal(data.store), apart=True) as lab:
        with suppress(BrokenPipeError):
            click.echo(_description(lab))
        return await stopped


def _description(lab: RunningLab) -> str:
    """Where everything is, and what to do next."""
    from jumpstarter.config.loader import display_path

    data = lab.data
    lines = [
        "The lab runs.",
        f"  controller           {lab.endpoint}",
        f"  router               {lab.router_endpoint}",
    ]
    if lab.login_port is not None:
        lines.append(f"  login                port {lab.login_port}")
    lines += [
        f"  namespace            {lab.settings.namespace}",
        f"  data                 {display_path(data.path)}",
        f"  administrator token  {display_path(data.admin_token)}",
    ]
    if lab.settings.tls.certificate is None:
        lines.append(f"  certificate          {display_path(data.authority / 'ca.pem')}")
    lines += [
        "Next, in another terminal:",
        "  jmp admin create exporter NAME --label board=example --save",
        "  jmp admin create client NAME --save --allow 'jumpstarter_driver_*'",
        "  jmp run --exporter NAME",
        "  jmp shell --selector board=example",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)
