"""Short ways to a client: `serve` a driver in this process, or use the exporter of the surrounding shell (`env`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

from jumpstarter.utils.env import ExporterMetadata, env, env_with_metadata

__all__ = ["ExporterMetadata", "env", "env_with_metadata", "serve", "serve_async"]


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
