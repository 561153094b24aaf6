"""SSH with fabric through a driver's stream."""

from __future__ import annotations

import importlib.util
from typing import Any

from .portforward import Adapter, TcpPortforwardAdapter


class FabricAdapter(Adapter[Any]):
    """An SSH connection to the server behind a network driver; entering gives a ``fabric.Connection``.

    Needs the extra ``network``. All arguments but *client* and *method* go to ``fabric.Connection`` as they
    are, see https://docs.fabfile.org/.

    Raises:
        ConfigurationError: fabric is not installed
    """

    def __init__(
        self,
        client: Any,
        *,
        method: str = "connect",
        user: str | None = None,
        config: Any = None,
        forward_agent: bool | None = None,
        connect_timeout: int | None = None,
        connect_kwargs: dict[str, Any] | None = None,
        inline_ssh_env: bool | None = None,
    ) -> None:
        super().__init__(client, method)
        self._options = {
            "user": user,
            "config": config,
            "forward_agent": forward_agent,
            "connect_timeout": connect_timeout,
            "connect_kwargs": connect_kwargs,
            "inline_ssh_env": inline_ssh_env,
        }

    def _open(self) -> Any:
        if importlib.util.find_spec("fabric") is None:
            from jumpstarter.common.exceptions import ConfigurationError

            raise ConfigurationError(
                "fabric is not available: pip install 'robotframework-jumpstarter[network]' to get it"
            )
        from fabric import Connection

        host, port = self._stack.enter_context(TcpPortforwardAdapter(self.client, method=self.method))
        connection = Connection(host, port=port, **self._options)
        self._stack.callback(connection.close)
        return connection
