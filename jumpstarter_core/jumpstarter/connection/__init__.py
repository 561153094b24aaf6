"""The one way to an exporter, whichever it is: a driver or exporter file in this process, the exporter of the surrounding
shell, or one at an address. `jmp shell`, `JumpstarterTest` and `JumpstarterLibrary` all come through here.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from jumpstarter.common.choices import refuse_empty
from jumpstarter.common.exceptions import ArgumentError

from .local import exporter_config, simulated_board

__all__ = ["connect", "local_session", "serve_driver"]


@contextmanager
def serve_driver(root_device: Any) -> Generator[Any]:
    """The client of *root_device*, served in this process over a unix socket; both end with the context."""
    from jumpstarter.client.client import connect_path

    with local_session(root_device) as path, connect_path(path, allow=[], unsafe=True) as client:
        yield client


@contextmanager
def local_session(root_device: Any, **options: Any) -> Generator[str]:
    """Serve *root_device* in this process, ready for use; gives the path of the socket. *options* as `Session` has them."""
    from jumpstarter.common.enums import ExporterStatus
    from jumpstarter.session import Session

    with Session(root_device=root_device, **options) as session, session.serve_unix() as path:
        session.update_status(ExporterStatus.LEASE_READY)
        yield str(path)


@contextmanager
def connect(
    *,
    exporter: str | None = None,
    config: Any = None,
    host: str | None = None,
    passphrase: str | None = None,
    insecure: bool = False,
) -> Generator[Any]:
    """The client of one exporter.

    *exporter* is the alias of an exporter file, *config* the path of one: its drivers run in this process. *host* is the
    HOST:PORT or socket of an exporter that runs already; *passphrase* and *insecure* (no TLS) belong to it. Without any of
    them: the exporter of the surrounding `jmp shell`, else the one that `jmp local start` left running, else the built-in
    simulated board.
    Raises ArgumentError when more than one is given, ConfigurationError and ConnectionError as the way taken has it.
    """
    named = {"exporter": exporter, "config": config, "host": host}
    refuse_empty(named)
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise ArgumentError(f"give only one of {' and '.join(given)}: each names an exporter")
    if host is not None:
        with _remote(host, passphrase, insecure) as client:
            yield client
    elif not given and _inside_shell():
        from jumpstarter.utils.env import env

        with env() as client:
            yield client
    else:
        with serve_driver(_local_device(exporter, config)) as client:
            yield client


@contextmanager
def _remote(host: str, passphrase: str | None, insecure: bool) -> Generator[Any]:
    from jumpstarter.client.client import connect_path
    from jumpstarter.utils.env import drivers_allowed, tcp_options

    allow, unsafe = drivers_allowed()
    options = tcp_options()
    options["insecure"] = insecure or options["insecure"]
    options["passphrase"] = passphrase or options["passphrase"]
    # Whoever names an address trusts what is there; a list of allowed drivers still narrows it.
    with connect_path(host, allow=allow, unsafe=unsafe or not allow, **options) as client:
        yield client


def _inside_shell() -> bool:
    from jumpstarter.common.local import running_exporter
    from jumpstarter.config.env import JUMPSTARTER_HOST, chosen

    return bool(chosen(JUMPSTARTER_HOST)) or running_exporter() is not None


def _local_device(exporter: str | None, config: Any) -> Any:
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    if exporter is not None:
        return exporter_config(exporter).instantiate()
    if config is not None:
        return ExporterConfigV1Alpha1.load_path(config).instantiate()
    return simulated_board().instantiate()
