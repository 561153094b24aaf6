"""Short ways to a client: `serve` a driver in this process, or use the exporter of the surrounding shell (`env`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from jumpstarter.utils.env import ExporterMetadata, env, env_with_metadata

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = [
    "ExporterMetadata",
    "env",
    "env_with_metadata",
    "launch_shell",
    "lease_ending_handler",
    "serve",
    "serve_async",
]


@contextmanager
def serve(root_device: Any) -> Generator[Any]:
    """The client of *root_device*, served in this process over a unix socket, as an exporter would; for tests."""
    from jumpstarter.connection import serve_driver

    with serve_driver(root_device) as client:
        yield client


@asynccontextmanager
async def serve_async(root_device: Any, portal: Any, stack: ExitStack) -> AsyncGenerator[Any]:
    """`serve` for coroutines; *portal* and *stack* become the client's."""
    from anyio import CancelScope, to_thread

    from jumpstarter.client.client import client_from_path
    from jumpstarter.connection import local_session

    session = local_session(root_device)
    path = await to_thread.run_sync(session.__enter__)
    try:
        async with client_from_path(path, portal, stack, allow=[], unsafe=True) as client:
            yield client
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(session.__exit__, None, None, None)


def launch_shell(
    host: str,
    context: str,
    allow: list[str],
    unsafe: bool,
    use_profiles: bool,
    *,
    command: tuple[str, ...] | None = None,
    lease: Any = None,
    insecure: bool = False,
    passphrase: str | None = None,
) -> int:
    """Run *command*, or without one the user's shell, connected to the exporter at *host*; gives its exit code.

    *host* is the path of a unix socket or HOST:PORT, *insecure* (no TLS) and *passphrase* belong to the latter. The prompt shows
    *context*. Clients may use the driver packages of *allow*, with *unsafe* all. *use_profiles*: the shell reads the user's
    start-up files. *lease* (`jumpstarter.client.Lease`) tells which exporter it is, and the shell is ended at its end.

    The exit code is 128 + n if signal n ended it, 127 if there is no such command, 126 if it cannot be run.
    """
    from jumpstarter.connection.shell import Surroundings, launch

    surroundings = Surroundings(
        host=str(host),
        name="" if lease is None else lease.exporter_name,
        prompt=context,
        lease=None if lease is None else lease.name,
        labels={} if lease is None else lease.exporter_labels,
        insecure=insecure,
        passphrase=passphrase,
        allow="UNSAFE" if unsafe else ",".join(allow),
    )

    def end_when(end: Callable[[str], object]) -> None:
        if lease is not None:
            shell = _Shell(lambda: end(f"Lease {lease.name} has ended"))
            lease.lease_ending_callback = partial(lease_ending_handler, shell)

    return launch(surroundings, command or (), profiles=use_profiles, end_when=end_when)


class _Shell:
    """What `lease_ending_handler` wants of a process."""

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end

    def send_signal(self, number: int) -> None:
        self._end()


def lease_ending_handler(process: Any, lease: Any, remaining_time: timedelta) -> None:
    """Hang up *process*, a `subprocess.Popen`, when nothing is left of *lease*; for its `lease_ending_callback`.

    Before, while there is still time, the user is told how much.
    """
    import logging
    import signal
    from datetime import timedelta

    from jumpstarter.common.durations import format_duration

    logger = logging.getLogger("jumpstarter.lease")
    if remaining_time <= timedelta(0):
        logger.warning("lease %s has ended", lease.name)
        process.send_signal(signal.SIGHUP)
    else:
        logger.warning("lease %s ends in %s", lease.name, format_duration(remaining_time))
